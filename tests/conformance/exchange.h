// exchange.h: tries cases over real sockets, against a server that echoes. What is compared
// is every frame, down to its bytes (the client refuses lengths that could be shorter, masks
// and reserved bits), every message the server's callback gets, and how onclose is told.
//
// A case after which the connection is open is tried on one connection, each delivery
// behind the one before; any other has a connection for each.
#pragma once

#include "cases.h"
#include "deliveries.h"
#include "tests/support/server.h"

#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace conformance {

// What the server does with the message "/close CODE REASON", instead of echoing it: it
// closes. For cases that need a server which speaks first.
inline constexpr const char *kCloseCommand = "/close ";

// Room for one case after the other: a server, and what it has been seen to do.
class Lane
{
  public:
    // Throws std::runtime_error that says what is wrong.
    void try_case(const Case &wanted, const Thoroughness &thoroughness);

    size_t tried() const { return tried_; }

  private:
    class Talk;

    test::Server &server();
    void try_on_one_connection(const Case &wanted, const std::vector<std::vector<Cuts>> &ways);
    void expect_messages(const std::vector<Message> &wanted);
    void expect_close(const Ending &ending);

    std::unique_ptr<test::Server> server_;
    size_t clients_ = 0; // of this server, as the callbacks have been counted:
    size_t messages_ = 0;
    size_t closes_ = 0;
    size_t tried_ = 0; // deliveries
};

// Sends bytes in pieces, each once the server has read the one before (see deliveries.h).
// over: whether the connection has ended, asked while waiting; then the rest is sent at once.
void send_in_pieces(test::Server &server, test::Client &client, const std::string &bytes,
                    const Cuts &cuts, const std::function<bool()> &over);

// How thoroughly, when the case is one that ends a connection, or one that does not.
Thoroughness default_thoroughness(Ending::Kind kind);

// Tries all of them, some at the same time, and reports to doctest what is wrong. Every
// one-step case goes through replay() first.
void try_cases(const std::vector<Case> &cases);
void try_cases(const std::vector<Case> &cases, const Thoroughness &thoroughness);

// What try_cases is made of: runs work(lane, index) for every index below count, in the
// lanes there are, and reports what is thrown, with describe(index) before it.
void in_lanes(size_t count, const std::function<void(size_t lane, size_t index)> &work,
              const std::function<std::string(size_t index)> &describe);
inline constexpr size_t kLanes = 2;

} // namespace conformance
