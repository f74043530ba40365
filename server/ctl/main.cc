#include <iostream>
#include <string>
#include <vector>

#include "server/ctl/commands.h"

int main(int argc, char** argv) {
  const std::vector<std::string> words(argv + 1, argv + argc);
  return sinkwatch::ctl::Sinkctl(words, std::cout, std::cerr);
}
