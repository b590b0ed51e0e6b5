// `ringway-bench handshake`: handshakes a second and core in both roles, beside the rates of the
// raw operations they are made of, measured in the same run.
#pragma once

namespace ringway::bench {

struct HandshakeBenchOptions {
  double seconds = 5;  // of measuring in all, shared by suites, roles and raw operations
  bool json = false;   // one JSON object on standard output instead of the table
};

// Prints the result. The exit code of the program: 0.
int run_handshake_bench(const HandshakeBenchOptions& options);

}  // namespace ringway::bench
