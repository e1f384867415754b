#include "client/options.hpp"

int main(int argc, char** argv) {
  return yaks::client::run({argv + 1, argv + argc});
}
