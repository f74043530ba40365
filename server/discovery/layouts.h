#ifndef SINKWATCH_SERVER_DISCOVERY_LAYOUTS_H_
#define SINKWATCH_SERVER_DISCOVERY_LAYOUTS_H_

#include "server/discovery/layout.h"

namespace sinkwatch::discovery {

// One per file layout_*.cc; the table of layout.cc has their order.
extern const Layout kGptNeox;
extern const Layout kNanotron;
extern const Layout kHfTrainer;
extern const Layout kOlmo;
extern const Layout kTorchDcp;
extern const Layout kOlmoCore;
extern const Layout kDcpHf;
extern const Layout kHuggingFace;

}  // namespace sinkwatch::discovery

#endif  // SINKWATCH_SERVER_DISCOVERY_LAYOUTS_H_
