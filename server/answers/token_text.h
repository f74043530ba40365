#ifndef SINKWATCH_SERVER_ANSWERS_TOKEN_TEXT_H_
#define SINKWATCH_SERVER_ANSWERS_TOKEN_TEXT_H_

#include <cstdint>
#include <string>

namespace sinkwatch::answers {

// "4.194 B": four digits and k, M, B or T.
std::string TokenText(int64_t tokens);

}  // namespace sinkwatch::answers

#endif  // SINKWATCH_SERVER_ANSWERS_TOKEN_TEXT_H_
