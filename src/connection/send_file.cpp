// send_file.cpp: see send_file.h.
#include "connection/send_file.h"

#include "base/utf8.h"
#include "connection/connection.h"

#include <algorithm>
#include <cerrno>
#include <limits>
#include <memory>
#include <optional>
#include <span>
#include <sys/stat.h>
#include <unistd.h>

namespace websock {

namespace {

constexpr size_t kPiece = 64 * 1024; // bytes of a frame

// Whether it can be read so far. What is no regular file may say anything about its size.
int check(const FileMessage &message)
{
    struct stat about;
    if (fstat(message.fd, &about) != 0)
        return errno;
    if (S_ISDIR(about.st_mode))
        return EISDIR;
    constexpr uint64_t kMost = std::numeric_limits<off_t>::max();
    if (message.offset > kMost || message.len > kMost - message.offset)
        return ERANGE;
    const bool is_known = S_ISREG(about.st_mode);
    return is_known && message.offset + message.len > static_cast<uint64_t>(about.st_size) ? ERANGE
                                                                                           : 0;
}

// Fills all of it, or fails: EIO if the file has become shorter.
int read_at(int fd, std::span<uint8_t> into, uint64_t offset)
{
    while (!into.empty()) {
        const ssize_t n = pread(fd, into.data(), into.size(), static_cast<off_t>(offset));
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? errno : EIO;
        into = into.subspan(static_cast<size_t>(n));
        offset += static_cast<uint64_t>(n);
    }
    return 0;
}

} // namespace

int send_file(Connection &connection, const FileMessage &message)
{
    if (const int error = check(message); error != 0)
        return error;
    const size_t most = static_cast<size_t>(std::min<uint64_t>(message.len, kPiece));
    const auto piece = std::make_unique_for_overwrite<uint8_t[]>(most);
    // What has one frame may be left to the Flusher, like any send of a callback.
    std::optional<WaitingScope> waits;
    if (message.len > kPiece)
        waits.emplace();
    uint64_t sent = 0;
    for (Opcode opcode = message.opcode;; opcode = Opcode::continuation) {
        const std::span<uint8_t> bytes(
            piece.get(), static_cast<size_t>(std::min<uint64_t>(message.len - sent, kPiece)));
        const bool fin = sent + bytes.size() == message.len;
        int error = read_at(message.fd, bytes, message.offset + sent);
        // The outbox looks at fragments, but leaves whole messages to those who send them.
        if (error == 0 && fin && opcode == Opcode::text && !is_valid_utf8(bytes))
            return EILSEQ;
        if (error == 0)
            error = connection.outbox().send(fin, opcode, bytes, message.may_compress);
        if (error == EINVAL && sent == 0)
            return EBUSY; // another message is being sent in fragments
        if (error != 0 && opcode == Opcode::continuation)
            (void)connection.close(WS_CLOSE_UNEXPECTED_ERROR, error == EILSEQ
                                                                  ? "a file is not UTF-8"
                                                                  : "a file could not be read");
        if (error != 0 || fin)
            return error;
        sent += bytes.size();
    }
}

} // namespace websock
