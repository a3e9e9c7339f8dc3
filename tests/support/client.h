// client.h: a blocking WebSocket client for the tests, over a real socket, with or without TLS.
// Every wait has a deadline. Whatever a server must not do throws std::runtime_error: masked
// frames, lengths that could be shorter, an unexpected end. No test cases.
#pragma once

#include "deflate_stream.h"
#include "stream.h"
#include "wire.h"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace test {

using Clock = std::chrono::steady_clock;

// How long one operation may take before the test has failed. Long enough for sanitizers on a
// loaded machine; nothing waits for it when all is well.
inline constexpr std::chrono::seconds kDeadline{20};

class Client
{
  public:
    struct Options {
        const char *host = "127.0.0.1"; // numeric
        int receive_buffer = 0;         // SO_RCVBUF, SO_SNDBUF; 0: the system's default
        int send_buffer = 0;
        Transport transport = default_transport();
        TlsOptions tls = {};
        const char *extensions = ""; // what the handshake offers
    };

    // Connects, and does the TLS handshake if there is one, but not the opening handshake.
    explicit Client(int port) : Client(port, Options{}) {}
    Client(int port, const Options &options);
    ~Client();
    Client(Client &&other) noexcept;
    Client &operator=(Client &&) = delete;

    // Connects, and does the opening handshake, too.
    static Client open(int port, std::string_view target = "/", std::string_view headers = "");

    // A client without TLS over a connected stream socket, which it owns from now on.
    static Client over(int fd);

    // Sends upgrade_request and returns the answer, which must be a valid 101. If the server has
    // accepted permessage-deflate, the frames of messages are inflated from here on.
    HttpAnswer handshake(std::string_view target = "/", std::string_view headers = "");

    // Reads one HTTP answer. A 101 has no body, nor has the answer to a HEAD.
    HttpAnswer receive_http(bool has_body = true);

    void send_raw(std::string_view bytes);
    void send_frame(bool fin, unsigned opcode, std::string_view payload, bool masked = true);
    void send_text(std::string_view payload);
    void send_binary(std::string_view payload);
    // A whole message, compressed as a continuation of all that was sent so before.
    void send_compressed(unsigned opcode, std::string_view payload);
    void send_close(unsigned code, std::string_view reason = "");

    // Sends as much as the socket takes without waiting. Returns how much that was.
    size_t send_now(std::string_view bytes);
    bool writable_within(std::chrono::milliseconds patience);

    Frame receive_frame();
    // The same, but anything else than a whole text message, or a Close frame, throws.
    std::string receive_text();
    Close receive_close();
    // Answers pings until something else comes.
    Frame receive_past_pings();

    // Whether a byte, or the end, can be read right now.
    bool has_input();

    void half_close(); // the orderly end of our side: close_notify with TLS, SHUT_WR
    void cut_off();    // SHUT_WR alone
    void reset();      // closes with RST

    // Waits for the end, which must come next, and ends our side.
    End receive_end();
    void expect_eof(); // the same; it must be an orderly end

    // Reads and drops everything up to the end, and ends our side.
    End drain();

    // The address as libwebsock_peer prints it.
    std::string address() const;
    int fd() const { return fd_; }
    // With TLS: of what it carries.
    uint64_t bytes_sent() const { return bytes_sent_; }
    uint64_t bytes_received() const { return bytes_received_; }

    // This client's TLS, which it must have: alerts, sessions, the SSL itself.
    TlsStream &tls();

  private:
    explicit Client(std::nullptr_t, int fd) : fd_(fd), stream_(make_plain_stream(fd)) {}

    void connect(const Options &options, int port);
    void shake_hands(const TlsOptions &options);

    // Moves what has come into input_; returns as Stream::read_now does.
    ssize_t fill_now();
    bool fill(Clock::time_point deadline); // waits until something has come; false at the end
    std::string take(size_t len, Clock::time_point deadline);
    [[noreturn]] void fail_at_end();
    void take_extensions(const std::string &answered);
    void inflate(Frame &frame, bool compressed);

    int fd_ = -1;
    std::unique_ptr<Stream> stream_; // null after reset
    TlsStream *tls_ = nullptr;       // stream_, if that is TLS
    std::string input_;              // received; up to position_ it is consumed
    size_t position_ = 0;
    uint64_t bytes_sent_ = 0;
    uint64_t bytes_received_ = 0;
    std::string extensions_; // to be offered
    std::optional<InflateStream> inflate_;
    std::optional<DeflateStream> deflate_;
    bool inflate_each_ = false; // without context takeover, these two
    bool deflate_each_ = false;
    bool in_compressed_ = false; // between the fragments of a compressed message
};

} // namespace test
