// deflate_peers.h: connections that may be compressed, all in one epoll, each with its place in
// the sequence of messages. When to send is up to deflate_load.cpp and deflate_fanout.cpp; without
// compression they do the same, so that both can be compared.
#pragma once

#include "deflate_client.h"
#include "stream.h"

#include <optional>
#include <sys/epoll.h>

namespace bench {

struct DeflatePeer {
    Stream stream;
    bool blocked = false;   // its last send did not fit
    size_t sent = 0;        // messages before this one have been sent as a whole
    size_t sent_offset = 0; // bytes of that one
    size_t received = 0;    // messages before this one have come
    FrameReader reader;
    std::optional<Inflate> inflate; // unless plain
};

class DeflatePeers
{
  public:
    explicit DeflatePeers(const Settings &settings);

    // number: its place among all, and its first message's in the sequence.
    void open(DeflatePeer &peer, size_t number);
    // Gives up when nothing has come for ten seconds.
    std::span<const epoll_event> wait();
    // Receives what is there.
    void receive(DeflatePeer &peer, const FrameReader::Take &take);
    // What a message says. Good until the next one.
    std::string_view text_of(DeflatePeer &peer, bool compressed, std::string_view payload);
    // Gives up unless this is the peer's next message.
    void check(DeflatePeer &peer, bool compressed, std::string_view payload);
    // Sends the messages before `end`, as far as the socket takes them now.
    void send(DeflatePeer &peer, size_t end);

    const Texts &texts() const { return texts_; }
    int64_t last_receipt_at() const { return last_receipt_at_; }

    struct Figures {
        uint64_t wire_bytes = 0;  // of messages, with the headers of their frames
        uint64_t plain_bytes = 0; // of their texts
        uint64_t messages = 0;
        uint64_t compressed = 0; // of them
    };
    const Figures &figures() const { return figures_; }
    // A message that is being taken.
    void count(const DeflatePeer &peer, bool compressed, size_t plain_bytes);
    void clear_figures() { figures_ = {}; }
    // Members of the clients' JSON.
    void print_figures() const;

  private:
    static constexpr int kEvents = 256;

    Agreement open_websocket(Stream &stream) const;
    void want_writable(DeflatePeer &peer, bool wanted);

    const Settings &settings_;
    const Texts texts_;
    std::optional<Agreement> agreement_; // the first one's; the others' must be the same
    std::optional<Requests> requests_;
    Figures figures_;
    int epoll_;
    int64_t last_receipt_at_;
    std::vector<char> buffer_ = std::vector<char>(256 * 1024);
    std::vector<char> plain_;
    epoll_event events_[kEvents];
};

} // namespace bench
