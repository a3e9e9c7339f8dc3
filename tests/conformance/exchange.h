// exchange.h: tries cases over real sockets, against a server that echoes, in the style that
// styles.h tells of. Compared are every
// frame, down to its bytes (the client refuses masks, reserved bits and lengths that could be
// shorter), every message that onmessage gets, and what onclose is told.
//
// A case that leaves the connection open is tried on a single connection, one delivery after
// the other. Any other case has a connection for each delivery.
#pragma once

#include "cases.h"
#include "deliveries.h"
#include "tests/support/server.h"

#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace conformance {

// A server that cases are tried against one after the other, and how many of its callbacks
// have been compared.
class Lane
{
  public:
    // Throws std::runtime_error, which says what is wrong.
    void try_case(const Case &wanted, const Thoroughness &thoroughness);

    size_t tried() const { return tried_; }

  private:
    class Talk;

    test::Server &server();
    void try_on_one_connection(const Case &wanted, const std::vector<std::vector<Cuts>> &ways);
    void expect_messages(const std::vector<Message> &wanted);
    void expect_close(const Ending &ending);

    std::unique_ptr<test::Server> server_;
    size_t clients_ = 0; // of this server, and its callbacks so far:
    size_t messages_ = 0;
    size_t closes_ = 0;
    size_t tried_ = 0; // deliveries
};

// Sends bytes in pieces, each as soon as the server has read the one before (see
// deliveries.h). over: asked while waiting; true if the connection has ended, and then the
// rest is sent at once.
void send_in_pieces(test::Server &server, test::Client &client, const std::string &bytes,
                    const Cuts &cuts, const std::function<bool()> &over);

// For a case that ends this way.
Thoroughness default_thoroughness(Ending::Kind kind);

// With callbacks all of it. Less in the other styles, which share most of the code; how parts are
// cut is tried by replay().
Thoroughness in_this_style(const Thoroughness &thoroughness);

// Tries all cases, kLanes at a time, and reports to doctest what is wrong. Every case of one
// step goes through replay() first.
void try_cases(const std::vector<Case> &cases);
void try_cases(const std::vector<Case> &cases, const Thoroughness &thoroughness);

// What try_cases is built on: runs work(lane, index) for every index below count, in kLanes
// threads, and reports what is thrown, with describe(index) before it.
void in_lanes(size_t count, const std::function<void(size_t lane, size_t index)> &work,
              const std::function<std::string(size_t index)> &describe);
inline constexpr size_t kLanes = 2;

} // namespace conformance
