// bulk.cpp: one large message on each connection, to the server (--upload) or from it, all at once,
// each in a thread of its own. What comes is checked byte by byte. Prints one line of JSON: bytes
// per second, the server's CPU time for a GiB, and by how much its memory has grown at the peak,
// from before the first connection.
#include "bulk.h"
#include "exchange.h"
#include "meter.h"

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <functional>
#include <optional>
#include <string>
#include <thread>
#include <vector>

namespace bench {
namespace {

constexpr size_t kPiece = 260 * 4 * BULK_PERIOD; // some 256 KiB; all pieces have the same bytes
constexpr unsigned char kMask[4] = {0x37, 0xfa, 0x21, 0x3d};
constexpr double kGib = 1 << 30;

std::string plain_bytes(size_t n)
{
    std::string bytes(n, '\0');
    for (size_t i = 0; i < n; ++i)
        bytes[i] = static_cast<char>(bulk_byte(i));
    return bytes;
}

std::string masked(std::string bytes)
{
    for (size_t i = 0; i < bytes.size(); ++i)
        bytes[i] = static_cast<char>(bytes[i] ^ kMask[i % 4]);
    return bytes;
}

const std::string expected = plain_bytes(kPiece + BULK_PERIOD);
const std::string pieces = masked(plain_bytes(kPiece));

std::string with_mask(std::string header)
{
    return header.append(reinterpret_cast<const char *>(kMask), sizeof kMask);
}

std::string long_header(uint64_t len)
{
    std::string header = "\x82\xff";
    for (int shift = 56; shift >= 0; shift -= 8)
        header += static_cast<char>(len >> shift);
    return with_mask(header);
}

void send_all(Stream &stream, std::string_view bytes)
{
    while (!bytes.empty()) {
        const iovec part{const_cast<char *>(bytes.data()), bytes.size()};
        const ssize_t n = stream.send({&part, 1});
        if (n <= 0)
            give_up("cannot send");
        bytes.remove_prefix(static_cast<size_t>(n));
    }
}

// The frames of one message. No control frame is expected, and a header may be cut anywhere.
class Frames
{
  public:
    explicit Frames(Stream &stream) : stream_(stream), buffer_(kPiece) {}

    // The next bytes of payload; empty at the end of the message.
    std::string_view next()
    {
        while (left_ == 0) {
            if (fin_)
                return {};
            read_header();
        }
        if (at_ == end_)
            receive();
        const size_t n = std::min<uint64_t>(left_, end_ - at_);
        const std::string_view bytes{buffer_.data() + at_, n};
        at_ += n;
        left_ -= n;
        return bytes;
    }

  private:
    void read_header()
    {
        const unsigned char first = byte();
        fin_ = (first & 0x80) != 0;
        if ((first & 0x78) != 0)
            give_up("neither a whole message nor a fragment");
        left_ = byte();
        const int width = left_ == 126 ? 2 : left_ == 127 ? 8 : 0;
        left_ = width > 0 ? 0 : left_;
        for (int i = 0; i < width; ++i)
            left_ = left_ << 8 | byte();
    }

    unsigned char byte()
    {
        if (at_ == end_)
            receive();
        return static_cast<unsigned char>(buffer_[at_++]);
    }

    void receive()
    {
        const ssize_t n = stream_.receive(buffer_);
        if (n <= 0)
            give_up("the answer ends in the middle");
        at_ = 0;
        end_ = static_cast<size_t>(n);
    }

    Stream &stream_;
    std::vector<char> buffer_;
    size_t at_ = 0;
    size_t end_ = 0;
    uint64_t left_ = 0;
    bool fin_ = false;
};

void upload(Stream &stream, uint64_t len)
{
    send_all(stream, long_header(len));
    for (uint64_t sent = 0; sent < len; sent += kPiece)
        send_all(stream, {pieces.data(), std::min<uint64_t>(kPiece, len - sent)});
    Frames frames(stream);
    std::string answer;
    for (std::string_view bytes = frames.next(); !bytes.empty(); bytes = frames.next())
        answer += bytes;
    if (answer != std::to_string(len))
        give_up("the server has not got all");
}

void download(Stream &stream, uint64_t len)
{
    const std::string number = std::to_string(len);
    const std::string header = "\x81" + std::string(1, static_cast<char>(0x80 | number.size()));
    send_all(stream, with_mask(header) + masked(number));
    Frames frames(stream);
    uint64_t offset = 0;
    for (std::string_view bytes = frames.next(); !bytes.empty(); bytes = frames.next()) {
        if (std::memcmp(bytes.data(), expected.data() + offset % BULK_PERIOD, bytes.size()) != 0)
            give_up("wrong bytes");
        offset += bytes.size();
    }
    if (offset != len)
        give_up("not all bytes have come");
}

// KiB; 0 without a server process.
double memory_of(pid_t server, const std::string &field)
{
    std::ifstream status("/proc/" + std::to_string(server) + "/status");
    for (std::string word; status >> word;) {
        double kib = 0;
        if (word == field + ":" && status >> kib)
            return kib;
    }
    return 0;
}

void move_all(const Settings &settings, std::vector<Stream> &streams)
{
    std::vector<std::thread> threads;
    for (Stream &stream : streams)
        threads.emplace_back(settings.upload ? upload : download, std::ref(stream), settings.bytes);
    for (std::thread &thread : threads)
        thread.join();
}

void run(const Settings &settings)
{
    const double before = memory_of(settings.server, "VmRSS");
    std::optional<TlsClient> tls;
    if (settings.tls)
        tls.emplace(settings);
    std::vector<Stream> streams;
    for (size_t i = 0; i < settings.connections; ++i)
        streams.push_back(connect_and_open(settings, tls ? &*tls : nullptr, i));
    CpuMeter cpu(settings.server);
    cpu.start();
    move_all(settings, streams);
    const CpuMeter::Figures figures = cpu.stop();
    const double peak = memory_of(settings.server, "VmHWM");
    const double bytes = static_cast<double>(settings.bytes * settings.connections);
    std::printf("{\"mib_per_second\": %.1f, \"server_s\": %.4f, \"server_cores\": %.3f, "
                "\"client_cores\": %.3f, \"peak_kib\": %.0f, \"grown_kib\": %.0f, "
                "\"grown_kib_each\": %.1f}\n",
                bytes / figures.seconds / (1 << 20), figures.server_seconds / (bytes / kGib),
                figures.server_seconds / figures.seconds, figures.client_seconds / figures.seconds,
                peak, peak - before, (peak - before) / static_cast<double>(streams.size()));
}

} // namespace
} // namespace bench

int main(int argc, char **argv)
{
    bench::Settings settings;
    settings.connections = 1;
    settings = bench::parse_settings(argc, argv, settings);
    bench::allow_files(settings.connections);
    bench::run(settings);
    return 0;
}
