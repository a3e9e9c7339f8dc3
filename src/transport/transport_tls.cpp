// transport_tls.cpp: the Transport that speaks TLS over a plain one.
//
// A TlsSession (one OpenSSL object) must not be used by two threads at once, and a read
// that waits for the peer under a lock would stop every sender. So the lock is held
// only while bytes are transformed, a record at a time, and never while anybody waits:
//   read    waits for ciphertext without the lock, then feeds and decrypts with it
//   write   encrypts with the lock, then sends without it
// The reading thread never sends once the handshake is over (two peers that do can
// wait for each other): what OpenSSL has to say meanwhile leaves with the next write.
#include "transport/handshake_gate.h"
#include "transport/tls_config.h"
#include "transport/tls_session.h"
#include "transport/transport.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <cerrno>
#include <cstring>
#include <new>
#include <openssl/crypto.h>
#include <utility>

namespace websock {

namespace {

using Step = TlsSession::Step;

constexpr size_t kSmallWire = 2048;        // to receive into while little comes
constexpr size_t kLargeWire = 64 * 1024;   // while reads fill what they get
constexpr int kCalmMs = 1000;              // without much, until it is small again
constexpr size_t kFlight = 4 * kTlsRecord; // encrypted before it is sent
constexpr size_t kRecordOverhead = 64;     // header, nonce, tag and padding: less than this
constexpr size_t kKeptCapacity = 1024;     // what an idle connection keeps of its buffers

// The plaintext of the next record: what stands at the front of parts, joined in scratch
// if it is in pieces.
std::span<const uint8_t> next_record(std::span<const iovec> parts, std::vector<uint8_t> &scratch)
{
    const iovec &first = parts.front();
    const auto *bytes = static_cast<const uint8_t *>(first.iov_base);
    if (parts.size() == 1 || first.iov_len >= kTlsRecord)
        return {bytes, std::min(first.iov_len, kTlsRecord)};
    scratch.clear();
    for (const iovec &part : parts) {
        const auto *from = static_cast<const uint8_t *>(part.iov_base);
        const size_t n = std::min(part.iov_len, kTlsRecord - scratch.size());
        scratch.insert(scratch.end(), from, from + n);
    }
    return scratch;
}

void let_go(std::vector<uint8_t> &bytes)
{
    bytes.clear();
    if (bytes.capacity() > kKeptCapacity)
        std::vector<uint8_t>().swap(bytes);
}

// nullptr: the client's certificate has a name that nobody can read.
std::unique_ptr<TlsInfo> describe(SSL *ssl)
{
    auto info = std::make_unique<TlsInfo>();
    info->version = SSL_get_version(ssl);
    info->cipher = SSL_get_cipher_name(ssl);
    if (const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name))
        info->server_name = name;
    if (const OwnedX509 certificate{SSL_get1_peer_certificate(ssl)}) {
        const auto subject = name_text(X509_get_subject_name(certificate.get()));
        if (!subject)
            return nullptr;
        info->client_subject = *subject;
    }
    info->resumed = SSL_session_reused(ssl) != 0;
    return info;
}

class TlsTransport final : public Transport
{
  public:
    TlsTransport(std::shared_ptr<const TlsConfig> config, HandshakeGate &gate)
        : config_(std::move(config)), gate_(gate)
    {
    }
    void take(UniqueFd &fd) { socket_ = make_plain_transport(fd); }

    Opening open(TimePoint deadline, const std::function<void()> &progressed) override;
    Received read(std::span<uint8_t> into, int timeout_ms) override;
    std::string why() const override { return why_.empty() ? socket_->why() : why_; }
    ssize_t write_some(const iovec *parts, int count) override;
    bool unsent() const override;
    bool needs_input() const override;
    int wait_writable(TimePoint deadline) override;
    void end_writing(TimePoint deadline) override;
    Outgoing outgoing() const override { return socket_->outgoing(); }
    void shut() override;
    void abort() override;
    int fd() const override { return socket_->fd(); }
    UniqueFd give_back() override { return socket_->give_back(); }

  private:
    Opening handshake(TimePoint deadline, const std::function<void()> &progressed);
    TlsSession &begin_session() EXCLUDES(mutex_);
    Opening settle();
    Received receive(int timeout_ms) EXCLUDES(mutex_);
    Received wait_for_wire(int timeout_ms);
    Received read_wire(int timeout_ms);
    void decrypt(std::span<uint8_t> into, Received &received) EXCLUDES(mutex_);
    int encrypt(std::span<iovec> &parts, size_t &taken) EXCLUDES(mutex_);
    void reserve_for(std::span<const iovec> parts) EXCLUDES(mutex_);
    int send_sealed() EXCLUDES(mutex_);
    int send_all_sealed(TimePoint deadline) EXCLUDES(mutex_);
    void wake_all() EXCLUDES(mutex_);

    const std::shared_ptr<const TlsConfig> config_;
    HandshakeGate &gate_;
    HandshakeGate::Visitor visitor_;
    std::unique_ptr<Transport> socket_;
    bool encrypted_ = false; // written before there is a second thread: open() was well

    mutable Mutex mutex_;
    Cond unstalled_;
    std::unique_ptr<TlsSession> session_ GUARDED_BY(mutex_);
    bool stalled_ GUARDED_BY(mutex_) = false; // writing needs something of the peer's first
    bool shut_ GUARDED_BY(mutex_) = false;

    // The reading thread's. What wire_ holds is read under mutex_, and written only when
    // the session has used it up.
    std::unique_ptr<uint8_t[]> wire_;
    size_t wire_capacity_ = 0;
    size_t next_capacity_ = kSmallWire;
    int64_t needed_ms_ = 0; // when a large one was last of use; of coarse_ms()
    std::string why_;

    // The writer's.
    std::vector<uint8_t> sealed_; // ciphertext, sent_ bytes of which have left
    size_t sent_ = 0;
    std::vector<uint8_t> scratch_;
};

Transport::Opening TlsTransport::open(TimePoint deadline, const std::function<void()> &progressed)
{
    Opening opening = handshake(deadline, progressed);
    encrypted_ = opening.result == Opening::ready;
    // OpenSSL keeps random generators for each thread that has used one; after the
    // handshake this thread only decrypts.
    OPENSSL_thread_stop();
    return opening;
}

TlsSession &TlsTransport::begin_session()
{
    Lock lock(mutex_);
    session_ = std::make_unique<TlsSession>(config_->context());
    return *session_;
}

Transport::Opening TlsTransport::handshake(TimePoint deadline,
                                           const std::function<void()> &progressed)
{
    // Until open() returns no other thread uses the session. So it computes without the lock,
    // which whoever shuts this must get at once.
    TlsSession &session = begin_session();
    auto turn = HandshakeGate::Step::beginning;
    for (bool first = true;; first = false) {
        const int left_ms = ms_until(deadline);
        const Received received =
            left_ms > 0 ? receive(left_ms) : Received{.result = Received::timed_out};
        if (received.result == Received::end)
            return {.result = Opening::gone, .silent = first, .why = "the peer closed"};
        if (received.result == Received::timed_out)
            return {.result = Opening::gone,
                    .silent = first,
                    .late = true,
                    .why = "not complete in time"};
        if (received.result != Received::bytes)
            return {.result = Opening::gone, .silent = first, .why = why()};
        // A handshake record begins with 22, and an HTTP request with a letter.
        if (first && std::isalpha(wire_[0]))
            return {.result = Opening::plaintext};
        Step step = Step::done;
        {
            const HandshakeGate::Place place(gate_, visitor_, turn, deadline);
            if (!place)
                return {.result = Opening::gone, .why = "not complete in time"};
            step = session.accept();
        }
        const bool answers = session.has_output();
        const int error = send_all_sealed(deadline);
        if (step == Step::failed)
            return {.result = Opening::refused, .why = session.why()};
        if (error != 0)
            return {.result = Opening::gone, .why = std::strerror(error)};
        if (step == Step::done)
            return settle();
        if (answers && turn == HandshakeGate::Step::beginning) {
            turn = HandshakeGate::Step::answered;
            progressed();
        }
    }
}

Transport::Opening TlsTransport::settle()
{
    Lock lock(mutex_);
    std::unique_ptr<TlsInfo> info = describe(session_->ssl());
    if (!info)
        return {.result = Opening::gone, .why = "the client's certificate has a malformed name"};
    return {.result = Opening::ready, .tls = std::move(info)};
}

// Waits for ciphertext, and feeds it to the session, which must have used up what it had.
Transport::Received TlsTransport::receive(int timeout_ms)
{
    Received received = wait_for_wire(timeout_ms);
    if (received.result != Received::bytes)
        return received;
    const size_t len = std::exchange(received.len, 0); // none of it is decrypted yet
    const int64_t now_ms = coarse_ms();
    const bool full = len == wire_capacity_;
    if (full)
        next_capacity_ = kLargeWire;
    if (full || len > kSmallWire)
        needed_ms_ = now_ms;
    else if (now_ms - needed_ms_ >= kCalmMs)
        next_capacity_ = kSmallWire;
    Lock lock(mutex_);
    session_->feed({wire_.get(), len});
    received.write_due = std::exchange(stalled_, false);
    if (received.write_due)
        unstalled_.signal();
    return received;
}

// A silent connection is not to keep a large buffer for as long as it may be silent.
Transport::Received TlsTransport::wait_for_wire(int timeout_ms)
{
    if (next_capacity_ == kSmallWire || (timeout_ms >= 0 && timeout_ms <= kCalmMs))
        return read_wire(timeout_ms);
    const Received received = read_wire(kCalmMs);
    if (received.result != Received::timed_out)
        return received;
    return read_wire(timeout_ms < 0 ? -1 : timeout_ms - kCalmMs);
}

Transport::Received TlsTransport::read_wire(int timeout_ms)
{
    if (wire_capacity_ != next_capacity_) {
        wire_.reset();
        wire_capacity_ = 0;
        wire_ = std::make_unique_for_overwrite<uint8_t[]>(next_capacity_);
        wire_capacity_ = next_capacity_;
    }
    const Received received = socket_->read({wire_.get(), wire_capacity_}, timeout_ms);
    if (received.result == Received::timed_out)
        next_capacity_ = kSmallWire;
    return received;
}

Transport::Received TlsTransport::read(std::span<uint8_t> into, int timeout_ms)
{
    if (!encrypted_)
        return socket_->read(into, timeout_ms);
    why_.clear();
    int left_ms = timeout_ms;
    const TimePoint deadline = timeout_ms < 0 ? kNever : in_ms(timeout_ms);
    for (Received received{.result = Received::bytes};;) {
        decrypt(into, received);
        if (received.result != Received::bytes || received.len > 0 || received.write_due)
            return received;
        if (timeout_ms >= 0 && ms_until(deadline) == 0)
            return {.result = Received::timed_out};
        received = receive(left_ms);
        if (received.result == Received::end) {
            why_ = "the TLS stream was cut off";
            received.result = Received::lost;
        }
        if (received.result != Received::bytes)
            return received;
        // Half a record is no life sign. To the sixteenth part, since each other time-out
        // is a system call of its own.
        const int now_left_ms = ms_until(deadline);
        if (timeout_ms > 0 && now_left_ms < left_ms - left_ms / 16)
            left_ms = std::max(now_left_ms, 1);
    }
}

// Decrypts what there is, a record at a time, so that senders get their turns. An end behind
// the bytes comes with the next call.
void TlsTransport::decrypt(std::span<uint8_t> into, Received &received)
{
    Step step = Step::done;
    while (step == Step::done && received.len < into.size()) {
        const Lock lock(mutex_);
        size_t n = 0;
        const size_t answers = session_->answers();
        step = session_->read(into.subspan(received.len), n);
        received.len += n;
        received.write_due = received.write_due || session_->answers() > answers;
        if (step == Step::failed)
            why_ = "TLS: " + session_->why();
    }
    if (received.len > 0)
        return;
    if (step == Step::closed)
        received.result = Received::end;
    if (step == Step::failed)
        received.result = Received::malformed;
}

ssize_t TlsTransport::write_some(const iovec *parts, int count)
try {
    if (!encrypted_)
        return socket_->write_some(parts, count);
    std::array<iovec, 8> left;
    const size_t used = std::min(static_cast<size_t>(count), left.size());
    std::copy_n(parts, used, left.begin());
    std::span<iovec> rest = drop_written(std::span(left).first(used), 0);
    size_t taken = 0;
    int error = send_sealed();
    while (error == 0 && !rest.empty()) {
        error = encrypt(rest, taken);
        const int send_error = send_sealed();
        error = error != 0 ? error : send_error;
    }
    // What is sealed counts as written: that it leaves is what unsent() is for.
    if (error == 0 || (error == EAGAIN && taken > 0))
        return static_cast<ssize_t>(taken);
    errno = error;
    return -1;
} catch (const std::bad_alloc &) {
    errno = ENOMEM;
    return -1;
}

// Seals a flight of records.
int TlsTransport::encrypt(std::span<iovec> &parts, size_t &taken)
{
    const size_t end = taken + kFlight;
    reserve_for(parts);
    while (!parts.empty() && taken < end) {
        const std::span<const uint8_t> record = next_record(parts, scratch_);
        const Lock lock(mutex_);
        size_t n = 0;
        const Step step = session_->write(record, n);
        taken += n;
        parts = drop_written(parts, n);
        if (step == Step::failed)
            return EPROTO;
        stalled_ = step == Step::starved;
        if (stalled_)
            return EAGAIN;
    }
    let_go(scratch_);
    return 0;
}

// Room for a flight at once, instead of by doubling.
void TlsTransport::reserve_for(std::span<const iovec> parts)
{
    size_t bytes = 0;
    for (const iovec &part : parts)
        bytes += part.iov_len;
    bytes = std::min(bytes, kFlight);
    Lock lock(mutex_);
    session_->reserve_output(bytes + (bytes / kTlsRecord + 1) * kRecordOverhead);
}

// Sends what is sealed, and what the session has to say of itself. EAGAIN: not all of it.
int TlsTransport::send_sealed()
{
    for (;;) {
        if (sent_ == sealed_.size()) {
            let_go(sealed_);
            sent_ = 0;
            Lock lock(mutex_);
            session_->take_output(sealed_);
        }
        if (sealed_.empty())
            return 0;
        const iovec part{sealed_.data() + sent_, sealed_.size() - sent_};
        const ssize_t n = socket_->write_some(&part, 1);
        if (n < 0)
            return errno;
        sent_ += static_cast<size_t>(n);
    }
}

int TlsTransport::send_all_sealed(TimePoint deadline)
{
    for (;;) {
        int error = send_sealed();
        if (error != EAGAIN)
            return error;
        error = socket_->wait_writable(deadline);
        if (error != 0)
            return error;
    }
}

bool TlsTransport::unsent() const
{
    Lock lock(mutex_);
    return sent_ < sealed_.size() || (encrypted_ && session_->has_output());
}

bool TlsTransport::needs_input() const
{
    Lock lock(mutex_);
    return stalled_;
}

int TlsTransport::wait_writable(TimePoint deadline)
{
    {
        Lock lock(mutex_);
        bool in_time = true;
        while (stalled_ && !shut_ && in_time)
            in_time = unstalled_.wait_until(mutex_, deadline);
        if (shut_)
            return EPIPE;
        if (!in_time)
            return ETIMEDOUT;
    }
    return socket_->wait_writable(deadline);
}

void TlsTransport::end_writing(TimePoint deadline)
{
    if (encrypted_) {
        {
            Lock lock(mutex_);
            session_->close();
        }
        (void)send_all_sealed(deadline);
    }
    socket_->end_writing(deadline);
}

void TlsTransport::shut()
{
    socket_->shut();
    wake_all();
}

void TlsTransport::abort()
{
    socket_->abort();
    wake_all();
}

// The socket has woken those who wait for it.
void TlsTransport::wake_all()
{
    gate_.turn_away(visitor_);
    Lock lock(mutex_);
    shut_ = true;
    unstalled_.broadcast();
}

} // namespace

std::unique_ptr<Transport> make_tls_transport(UniqueFd &fd, std::shared_ptr<const TlsConfig> config,
                                              HandshakeGate &gate)
{
    auto transport = std::make_unique<TlsTransport>(std::move(config), gate);
    transport->take(fd);
    return transport;
}

} // namespace websock
