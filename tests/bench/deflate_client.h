// deflate_client.h: a client of permessage-deflate (RFC 7692) with zlib: what it offers and was
// answered, its messages compressed beforehand, and the server's inflated and compared.
// Connections and epoll are deflate_peers.h's.
#pragma once

#include "texts.h"

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>
#include <zlib.h>

namespace bench {

struct Agreement {
    bool compression = false;
    int server_window_bits = 15;
    int client_window_bits = 15;
    bool server_context_takeover = true;
    std::string answer; // the server's Sec-WebSocket-Extensions
};

// The opening handshake; wanted: permessage-deflate; client_max_window_bits is offered.
std::string deflate_handshake(bool wanted);
// Of the response to it. Gives up if the server has refused, or answered what was not offered.
Agreement agreement_of(std::string_view response, bool wanted);

// Each text as a masked frame. Compressed, each with a state of its own, which is valid whether or
// not the server keeps its window: so they can be made once, and sent on every connection. A text
// that does not get smaller is sent as it is.
class Requests
{
  public:
    Requests(const Texts &texts, const Agreement &agreement);
    std::string_view frame(size_t i) const { return frames_[i % frames_.size()]; }

  private:
    std::vector<std::string> frames_;
};

// Finds the messages in what a server sends; they may be in fragments.
class FrameReader
{
  public:
    // payload is good until the call ends.
    using Take = std::function<void(bool compressed, std::string_view payload)>;
    // Gives up on anything but whole messages of the data, in frames.
    void read(std::string_view bytes, const Take &take);
    // Of the message that is being taken, with the headers of its frames.
    uint64_t wire_bytes() const { return wire_bytes_; }

  private:
    bool parse_header(std::string_view &bytes);
    size_t header_length() const;
    void end_frame(std::string_view payload, const Take &take);

    std::string header_; // incomplete
    uint64_t left_ = 0;  // of the payload of this frame
    bool in_frame_ = false;
    bool fin_ = false;
    bool in_message_ = false;
    bool compressed_ = false;
    uint64_t wire_bytes_ = 0;
    std::string message_; // what has come of it, if not all at once
};

// The window of what one server connection has sent.
class Inflate
{
  public:
    explicit Inflate(const Agreement &agreement);
    // The message; room must have a byte more than it may have. Gives up on corrupt data. Good
    // until room is used again.
    std::string_view message(std::string_view payload, std::span<char> room);

  private:
    struct End {
        void operator()(z_stream *stream) const
        {
            inflateEnd(stream);
            delete stream;
        }
    };

    void feed(std::string_view bytes);

    bool keeps_window_;
    std::unique_ptr<z_stream, End> stream_;
};

} // namespace bench
