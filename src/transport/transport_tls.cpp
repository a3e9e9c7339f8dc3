// transport_tls.cpp: TlsTransport once the handshake is over: reading, writing and the end. See
// transport_tls.h.
#include "transport/transport_tls.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <new>
#include <utility>

namespace websock {

namespace {

constexpr size_t kFlight = 4 * kTlsRecord; // plaintext that is encrypted before it is sent
constexpr size_t kRecordOverhead = 64;     // header, nonce, tag and padding: less than this
constexpr size_t kKeptCapacity = 1024;     // what an idle connection keeps of a buffer

// The plaintext of the next record: the front of parts, joined in scratch if it is in pieces.
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

void clear_and_trim(std::vector<uint8_t> &bytes)
{
    bytes.clear();
    if (bytes.capacity() > kKeptCapacity)
        std::vector<uint8_t>().swap(bytes);
}

} // namespace

// Waits for ciphertext, and feeds it to the session, which must have used up what it had.
Transport::Received TlsTransport::receive(int timeout_ms)
{
    Received received = wire_.fill(*socket_, timeout_ms);
    if (received.result != Received::bytes)
        return received;
    received.len = 0; // none of it is decrypted yet
    Lock lock(mutex_);
    session_->feed(wire_.bytes());
    received.write_due = std::exchange(needs_input_, false);
    if (received.write_due)
        input_came_.signal();
    return received;
}

Transport::Received TlsTransport::read(std::span<uint8_t> into, int timeout_ms)
{
    if (!encrypted_)
        return socket_->read(into, timeout_ms);
    why_.clear();
    int left_ms = timeout_ms;
    const TimePoint deadline = timeout_ms < 0 ? kNever : in_ms(timeout_ms);
    bool has_looked = false; // once, even if there is no time to wait
    for (Received received{.result = Received::bytes};; has_looked = true) {
        decrypt(into, received);
        if (received.result != Received::bytes || received.len > 0 || received.write_due)
            return received;
        if (has_looked && timeout_ms >= 0 && ms_until(deadline) == 0)
            return {.result = Received::timed_out};
        received = receive(left_ms);
        if (received.result == Received::end) {
            why_ = "the TLS stream was cut off";
            received.result = Received::lost;
        }
        if (received.result != Received::bytes)
            return received;
        // Half a record does not make the wait longer. The time-out is adjusted in steps of a
        // sixteenth, since each change costs a system call.
        const int now_left_ms = ms_until(deadline);
        if (timeout_ms > 0 && now_left_ms < left_ms - left_ms / 16)
            left_ms = std::max(now_left_ms, 1);
    }
}

// Decrypts what there is, a record at a time, so that senders get their turns. If an end or an
// error follows the bytes, the next call says so.
void TlsTransport::decrypt(std::span<uint8_t> into, Received &received)
{
    Step step = Step::done;
    while (step == Step::done && received.len < into.size()) {
        const Lock lock(mutex_);
        size_t n = 0;
        const size_t answer_bytes = session_->answer_bytes();
        step = session_->read(into.subspan(received.len), n);
        received.len += n;
        received.write_due = received.write_due || session_->answer_bytes() > answer_bytes;
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
    std::array<iovec, kMostParts> left;
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
    // What is encrypted counts as written. Until it has left, unsent() is true.
    if (error == 0 || (error == EAGAIN && taken > 0))
        return static_cast<ssize_t>(taken);
    errno = error;
    return -1;
} catch (const std::bad_alloc &) {
    errno = ENOMEM;
    return -1;
}

// Encrypts one flight of records into the session's output. EAGAIN: the session needs input first.
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
        needs_input_ = step == Step::starved;
        if (needs_input_)
            return EAGAIN;
    }
    clear_and_trim(scratch_);
    return 0;
}

// Makes room for the whole flight at once: the output would grow by doubling.
void TlsTransport::reserve_for(std::span<const iovec> parts)
{
    size_t bytes = 0;
    for (const iovec &part : parts)
        bytes += part.iov_len;
    bytes = std::min(bytes, kFlight);
    Lock lock(mutex_);
    session_->reserve_output(bytes + (bytes / kTlsRecord + 1) * kRecordOverhead);
}

// Sends all of the session's output, TLS's own included. EAGAIN: some of it is still here.
int TlsTransport::send_sealed()
{
    for (;;) {
        if (sent_ == sealed_.size()) {
            clear_and_trim(sealed_);
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
    return needs_input_;
}

int TlsTransport::wait_writable(TimePoint deadline)
{
    {
        Lock lock(mutex_);
        bool in_time = true;
        while (needs_input_ && !shut_ && in_time)
            in_time = input_came_.wait_until(mutex_, deadline);
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

// Wakes those who wait for the gate or for input. The socket has woken the others.
void TlsTransport::wake_all()
{
    gate_.turn_away(visitor_);
    Lock lock(mutex_);
    shut_ = true;
    input_came_.broadcast();
}

std::unique_ptr<Transport> make_tls_transport(UniqueFd &fd, std::shared_ptr<const TlsConfig> config,
                                              HandshakeGate &gate)
{
    auto transport = std::make_unique<TlsTransport>(std::move(config), gate);
    transport->take(fd);
    return transport;
}

} // namespace websock
