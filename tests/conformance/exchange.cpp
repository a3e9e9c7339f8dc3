// exchange.cpp: cases over sockets; see exchange.h.
#include "exchange.h"

#include "answers.h"
#include "replay.h"
#include "styles.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <mutex>
#include <stdexcept>
#include <thread>

namespace conformance {

using test::Client;
using test::Clock;
using test::Kind;

namespace {

// A server keeps a record of every callback, so after this many clients another takes over.
constexpr size_t kClientsOfServer = 200;

unsigned long long bytes_read_by(test::Server &server)
{
    libwebsock_statistics stats{};
    stats.size = sizeof stats;
    libwebsock_stats(server.context(), &stats);
    return stats.bytes_in;
}

} // namespace

void send_in_pieces(test::Server &server, Client &client, const std::string &bytes,
                    const Cuts &cuts, const std::function<bool()> &over)
{
    const auto before = bytes_read_by(server);
    size_t sent = 0;
    for (size_t i = 0; i <= cuts.size(); i++) {
        const size_t end = i < cuts.size() ? cuts[i] : bytes.size();
        try {
            client.send_raw(std::string_view(bytes).substr(sent, end - sent));
        } catch (const std::runtime_error &) {
            return; // the connection has ended; what is read next says whether it should have
        }
        sent = end;
        const Clock::time_point deadline = Clock::now() + test::kDeadline;
        while (i < cuts.size() && bytes_read_by(server) < before + sent && !over()) {
            if (Clock::now() > deadline)
                throw std::runtime_error("the server does not read");
            std::this_thread::yield();
        }
    }
}

// The client's side of one connection.
class Lane::Talk
{
  public:
    // RFC 6455 10.6: "WebSocket implementations MUST support TLS ..."
    Talk(test::Server &server, const std::string &extensions)
        : server_(server),
          client_(server.port(), {.tls = {.verify = false}, .extensions = extensions.c_str()})
    {
        const test::HttpAnswer answer = client_.handshake();
        if (extensions.empty() != answer.header("Sec-WebSocket-Extensions").empty())
            throw std::runtime_error("another answer to: " + extensions);
    }

    // One step of a case, and its answers. is_last: the connection may end after it.
    void exchange(const Case &wanted, const Step &step, const Cuts &cuts, bool is_last)
    {
        const bool ends = is_last && wanted.ending.kind != Ending::open;
        Answers answers(step.out);
        const bool was_over = over_; // if so, only the end can come
        send_in_pieces(server_, client_, step.in, cuts, [&] {
            while (!over_ && client_.has_input())
                take(answers, wanted);
            return was_over ? client_.has_input() : over_;
        });
        const bool leaves = wanted.ending.kind == Ending::left;
        while (ends && !leaves ? !over_ : !answers.complete())
            take(answers, wanted);
        if (ends && leaves)
            return leave();
        // RFC 6455 5.5.1: "After both sending and receiving ... MUST close the ... TCP connection."
        // RFC 6455 5.5.1: "The server MUST close the underlying TCP connection immediately; ..."
        // RFC 6455 7.1.7: "... the server MUST _Close the WebSocket Connection_, ..."
        if (ends)
            client_.expect_eof();
    }

    void close()
    {
        client_.send_close(1000);
        const test::Close close = client_.receive_close();
        if (close.code != 1000 || !close.reason.empty())
            throw std::runtime_error("the last Close is not answered");
        client_.expect_eof();
    }

  private:
    void take(Answers &answers, const Case &wanted)
    {
        Frame frame = client_.receive_frame();
        if (frame.opcode != kClose)
            return is_whole(frame) ? answers.take(frame) : void();
        over_ = true;
        if (answers.wants_fragment())
            answers.take(unfinished_);
        if (answers.wants_close())
            return answers.take(frame);
        if (wanted.ending.kind == Ending::open)
            throw std::runtime_error("unexpected: " + name_of(frame));
        answers.expect_complete();
        const uint64_t code = test::parse_number(frame.payload.substr(0, 2));
        if (wanted.ending.kind != Ending::failed || code != wanted.ending.code)
            throw std::runtime_error("unexpected: " + name_of(frame));
    }

    // What comes back of an unfinished message may come until the end.
    void leave()
    {
        client_.half_close();
        if (client_.drain() != test::End::eof)
            throw std::runtime_error("no orderly end");
    }

    // A server that echoes parts sends a message in fragments, which are put together here. If the
    // client's message goes wrong, fragments of it may have come back by then: they are dropped.
    bool is_whole(Frame &frame)
    {
        if (style() != Style::parts || (frame.opcode & 0x8) != 0)
            return true;
        const bool begins = frame.opcode != kContinuation;
        if (begins == in_fragments_)
            throw std::runtime_error("no fragment of a message: " + name_of(frame));
        in_fragments_ = !frame.fin;
        if (begins)
            unfinished_ = frame;
        else
            unfinished_.payload += frame.payload;
        unfinished_.fin = frame.fin;
        frame = unfinished_;
        return frame.fin;
    }

    test::Server &server_;
    Client client_;
    bool over_ = false;     // the server's Close frame has come
    Frame unfinished_ = {}; // what has come of a message in fragments
    bool in_fragments_ = false;
};

test::Server &Lane::server()
{
    if (!server_ || clients_++ == kClientsOfServer) {
        server_.reset();
        server_ = std::make_unique<test::Server>(behaviour_of_cases());
        clients_ = 1;
        messages_ = closes_ = 0;
    }
    return *server_;
}

void Lane::try_case(const Case &wanted, const Thoroughness &thoroughness)
{
    // In each way one step is cut, and the others are sent whole.
    std::vector<std::vector<Cuts>> ways = {std::vector<Cuts>(wanted.steps.size())};
    for (size_t step = 0; step < wanted.steps.size(); step++)
        for (const Cuts &cuts : deliveries(wanted.steps[step].in.size(), thoroughness)) {
            ways.push_back(ways[0]);
            ways.back()[step] = cuts;
        }
    ways.erase(ways.begin()); // all steps whole: the others have that, too
    if (wanted.ending.kind == Ending::open)
        return try_on_one_connection(wanted, ways);

    Case shortened = wanted;
    for (const std::vector<Cuts> &way : ways) {
        tried_++;
        std::string name;
        try {
            Talk talk(server(), wanted.extensions);
            for (size_t i = 0; i < way.size(); i++) {
                name = " (step " + std::to_string(i + 1) + " " + name_of(way[i]) + ")";
                talk.exchange(wanted, wanted.steps[i], way[i], i + 1 == way.size());
            }
            expect_close(wanted.ending);
            expect_messages(wanted.messages);
        } catch (const std::exception &error) {
            server_.reset();
            throw std::runtime_error(error.what() + name);
        }
    }
    if (wanted.known_after == 0 || wanted.known_after == wanted.steps.back().in.size())
        return;
    shortened.steps.back().in.resize(wanted.known_after);
    shortened.sentence += ", known before the rest has come";
    shortened.known_after = 0;
    try_case(shortened, {.cuts = 0, .bytewise = 0});
}

void Lane::try_on_one_connection(const Case &wanted, const std::vector<std::vector<Cuts>> &ways)
{
    std::string name;
    try {
        Talk talk(server(), wanted.extensions);
        for (const std::vector<Cuts> &way : ways) {
            tried_++;
            for (size_t i = 0; i < way.size(); i++) {
                name = " (step " + std::to_string(i + 1) + " " + name_of(way[i]) + ")";
                talk.exchange(wanted, wanted.steps[i], way[i], false);
            }
            expect_messages(wanted.messages);
        }
        name = " (closing)";
        talk.close();
        expect_close({Ending::closed, 1000});
        expect_messages({});
    } catch (const std::exception &error) {
        server_.reset();
        throw std::runtime_error(error.what() + name);
    }
}

// Compares what onmessage got since the last call. By now it has all been answered, or
// onclose has run.
void Lane::expect_messages(const std::vector<Message> &wanted)
{
    const size_t count = server_->events().count(Kind::message) - messages_;
    for (const Message &message : wanted) {
        if (server_->events().count(Kind::message) == messages_)
            throw std::runtime_error("onmessage got " + std::to_string(count) + " messages");
        const test::Event event = server_->events().wait(Kind::message, ++messages_);
        if (event.opcode != message.opcode || event.text != message.payload || !event.terminated)
            throw std::runtime_error("onmessage got another message: " + hex(event.text));
    }
    if (server_->events().count(Kind::message) != messages_)
        throw std::runtime_error("onmessage got " + std::to_string(count) + " messages");
}

void Lane::expect_close(const Ending &ending)
{
    const bool is_dirty = ending.kind == Ending::failed || ending.kind == Ending::left;
    const unsigned code = is_dirty ? WS_CLOSE_DIRTY : ending.code;
    const test::Event event = server_->events().wait(Kind::close, ++closes_);
    const bool any_reason = is_dirty || ending.reason_is_ours;
    const bool same_reason = any_reason ? !event.text.empty() : event.text == ending.reason;
    if (event.code != code || !same_reason)
        throw std::runtime_error("onclose was told " + std::to_string(event.code) + " " +
                                 event.text);
}

Thoroughness default_thoroughness(Ending::Kind kind)
{
    if (kind == Ending::open)
        return {.cuts = 300, .bytewise = 1000};
    // Each delivery has a connection of its own, which takes about ten times as long with TLS.
    return test::over_tls() ? Thoroughness{.cuts = 10, .bytewise = 300}
                            : Thoroughness{.cuts = 64, .bytewise = 300};
}

Thoroughness in_this_style(const Thoroughness &thoroughness)
{
    if (style() == Style::callbacks)
        return thoroughness;
    return {.cuts = std::min<size_t>(thoroughness.cuts, 3),
            .bytewise = std::min<size_t>(thoroughness.bytewise, 40)};
}

void in_lanes(size_t count, const std::function<void(size_t lane, size_t index)> &work,
              const std::function<std::string(size_t index)> &describe)
{
    std::mutex mutex;
    std::vector<std::string> wrong;
    std::atomic<size_t> next{0};
    auto run = [&](size_t lane) {
        for (size_t index; (index = next++) < count;) {
            try {
                work(lane, index);
            } catch (const std::exception &error) {
                std::lock_guard lock(mutex);
                wrong.push_back(describe(index) + ": " + error.what());
            }
        }
    };
    std::vector<std::thread> threads;
    for (size_t lane = 0; lane < kLanes; lane++)
        threads.emplace_back(run, lane);
    for (std::thread &thread : threads)
        thread.join();
    for (const std::string &text : wrong)
        FAIL_CHECK(text);
}

namespace {

using Choice = std::function<Thoroughness(const Case &)>;

void try_cases_with(const std::vector<Case> &cases, const Choice &choose)
{
    REQUIRE(!cases.empty());
    std::vector<Lane> lanes(kLanes);
    auto work = [&](size_t lane, size_t index) {
        const Case &wanted = cases[index];
        const bool has_own_decoding = style() != Style::session; // that has the one of callbacks
        if (has_own_decoding && wanted.steps.size() == 1 && wanted.extensions.empty())
            if (const std::string wrong = replay(wanted); !wrong.empty())
                throw std::runtime_error("decoder: " + wrong);
        lanes[lane].try_case(wanted, in_this_style(choose(wanted)));
    };
    auto describe = [&](size_t index) {
        return cases[index].section + ": " + cases[index].sentence;
    };
    in_lanes(cases.size(), work, describe);
    size_t tried = 0;
    for (const Lane &lane : lanes)
        tried += lane.tried();
    MESSAGE(cases.size() << " cases, " << tried << " deliveries");
    CHECK(tried >= cases.size());
}

} // namespace

void try_cases(const std::vector<Case> &cases)
{
    try_cases_with(cases,
                   [](const Case &wanted) { return default_thoroughness(wanted.ending.kind); });
}

void try_cases(const std::vector<Case> &cases, const Thoroughness &thoroughness)
{
    try_cases_with(cases, [&](const Case &) { return thoroughness; });
}

} // namespace conformance
