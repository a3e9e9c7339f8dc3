// exchange.h: the bytes of the benchmark: what a client sends, what must come back, and how a
// connection is made. When they are sent is up to each client.
#pragma once

#include "stream.h"

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace bench {

// One message in several variants, so that a lost, doubled or misdelivered one is noticed. A
// request is a masked frame and its answer the same frame unmasked. For raw, the request has
// the same size, and the answer is as much of its beginning as the unmasked frame has bytes.
class Exchange
{
  public:
    explicit Exchange(const Settings &settings);

    size_t variants() const { return requests_.size(); }
    std::string_view request(size_t i) const { return requests_[i % variants()]; }
    std::string_view answer(size_t i) const { return answers_[i % variants()]; }

  private:
    std::vector<std::string> requests_;
    std::vector<std::string> answers_;
};

// Where one connection stands in the endless sequence of messages.
struct Cursor {
    size_t message = 0;
    size_t offset = 0;

    // The next bytes to send of the messages before `end`, in at most parts.size() pieces.
    size_t gather(const Exchange &exchange, size_t end, std::span<iovec> parts) const;
    void sent(const Exchange &exchange, size_t bytes);
    // Steps over what was received. False if that is not what must come.
    bool received(const Exchange &exchange, std::string_view bytes);
};

// The opening handshake, with the key of RFC 6455 1.3, and the rest of a session.
extern const std::string_view kHandshake;
extern const std::string_view kCloseRequest; // code 1000
extern const std::string_view kCloseAnswer;

// Whether a complete response accepts the upgrade.
bool accepts_upgrade(std::string_view response);

// A socket that does not block and is being connected to 127.0.0.1.
int begin_connect(uint16_t port);

// Makes a connection that blocks, and its handshakes: that of TLS, unless tls is nullptr,
// and, unless raw, that of WebSocket. Gives up after ten seconds. number is its place among
// all connections of the client: when they are too many for the ports of one address, they
// come from 127.0.0.2, .3 and so on. receive_buffer: bytes, or 0 for the system's.
Stream connect_and_secure(const Settings &settings, TlsClient *tls, size_t number = 0,
                          int receive_buffer = 0);
Stream connect_and_open(const Settings &settings, TlsClient *tls, size_t number = 0,
                        int receive_buffer = 0);

// Raises the limit of open files for so many connections; gives up when it cannot be.
void allow_files(size_t connections);

void set_blocking(int fd, bool blocking);

} // namespace bench
