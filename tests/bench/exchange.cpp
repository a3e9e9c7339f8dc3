// exchange.cpp: see exchange.h.
#include "exchange.h"

#include <algorithm>
#include <arpa/inet.h>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>

namespace bench {

namespace {

constexpr size_t kMaskBytes = 4;
constexpr unsigned char kMask[kMaskBytes] = {0x37, 0xfa, 0x21, 0x3d}; // RFC 6455 5.7
constexpr int kSetupSeconds = 10;
constexpr size_t kPortsPerAddress = 20000; // of some 28,000; others need some
constexpr rlim_t kOtherFiles = 32;

// RFC 6455 5.2.
std::string header(bool text, size_t payload_len, bool masked)
{
    std::string bytes(1, text ? '\x81' : '\x82');
    const int mask_bit = masked ? 0x80 : 0;
    const auto put = [&](size_t value, int length_bytes) {
        for (int shift = 8 * (length_bytes - 1); shift >= 0; shift -= 8)
            bytes += static_cast<char>((value >> shift) & 0xff);
    };
    if (payload_len <= 125) {
        bytes += static_cast<char>(mask_bit | static_cast<int>(payload_len));
    } else if (payload_len <= 0xffff) {
        bytes += static_cast<char>(mask_bit | 126);
        put(payload_len, 2);
    } else {
        bytes += static_cast<char>(mask_bit | 127);
        put(payload_len, 8);
    }
    return bytes;
}

// ASCII, so that it may be text; no two variants share a byte at the same place.
std::string payload_of(size_t variant, size_t length)
{
    std::string payload(length, '\0');
    for (size_t i = 0; i < length; ++i)
        payload[i] = static_cast<char>('0' + (i / 7 + i + 11 * variant) % 75);
    return payload;
}

std::string masked(std::string payload)
{
    for (size_t i = 0; i < payload.size(); ++i)
        payload[i] = static_cast<char>(payload[i] ^ kMask[i % kMaskBytes]);
    return payload;
}

sockaddr_in loopback(uint16_t port, uint32_t host = 0)
{
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK + host);
    return address;
}

void bind_source(int fd, size_t number)
{
    const int on = 1; // otherwise the port is taken for every destination
    (void)setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
    const sockaddr_in address = loopback(0, 1 + static_cast<uint32_t>(number / kPortsPerAddress));
    if (bind(fd, reinterpret_cast<const sockaddr *>(&address), sizeof address) != 0)
        give_up("cannot bind to an address of its own");
}

int new_socket(int flags)
{
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | flags, 0);
    if (fd < 0)
        give_up("no socket: is the limit of open files high enough?");
    const int on = 1;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return fd;
}

void connect_to(int fd, uint16_t port)
{
    const sockaddr_in address = loopback(port);
    const auto *generic = reinterpret_cast<const sockaddr *>(&address);
    if (connect(fd, generic, sizeof address) != 0 && errno != EINPROGRESS)
        give_up("cannot connect");
}

void open_websocket(Stream &stream)
{
    if (!stream.send_all(kHandshake))
        give_up("handshake: cannot send");
    // The server only answers, so nothing follows the response.
    std::string response;
    char bytes[2048];
    while (response.find("\r\n\r\n") == response.npos) {
        const ssize_t n = stream.receive(bytes);
        if (n <= 0)
            give_up("handshake: no complete response");
        response.append(bytes, static_cast<size_t>(n));
    }
    if (!accepts_upgrade(response))
        give_up("handshake: refused");
}

} // namespace

const std::string_view kHandshake = "GET / HTTP/1.1\r\n"
                                    "Host: 127.0.0.1\r\n"
                                    "Upgrade: websocket\r\n"
                                    "Connection: Upgrade\r\n"
                                    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                                    "Sec-WebSocket-Version: 13\r\n\r\n";
// 1000 is 0x03e8; masked with 0x01010101.
const std::string_view kCloseRequest = {"\x88\x82\x01\x01\x01\x01\x02\xe9", 8};
const std::string_view kCloseAnswer = {"\x88\x02\x03\xe8", 4};

bool accepts_upgrade(std::string_view response)
{
    return response.starts_with("HTTP/1.1 101") && response.ends_with("\r\n\r\n") &&
           response.find("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=") != response.npos;
}

Exchange::Exchange(const Settings &settings)
{
    // Few when they are large, so that the client's own cache misses are not measured.
    const size_t count = settings.payload <= 4096 ? 7 : 2;
    for (size_t variant = 0; variant < count; ++variant) {
        const std::string payload = payload_of(variant, settings.payload);
        const std::string mask(reinterpret_cast<const char *>(kMask), kMaskBytes);
        requests_.push_back(header(settings.text, payload.size(), true) + mask + masked(payload));
        answers_.push_back(header(settings.text, payload.size(), false) + payload);
        if (settings.raw)
            answers_.back() = requests_.back().substr(0, answers_.back().size());
    }
}

size_t Cursor::gather(const Exchange &exchange, size_t end, std::span<iovec> parts) const
{
    size_t count = 0;
    size_t skip = offset;
    for (size_t i = message; i < end && count < parts.size(); ++i) {
        const std::string_view bytes = exchange.request(i).substr(skip);
        parts[count++] = {const_cast<char *>(bytes.data()), bytes.size()};
        skip = 0;
    }
    return count;
}

void Cursor::sent(const Exchange &exchange, size_t bytes)
{
    offset += bytes;
    while (offset >= exchange.request(message).size())
        offset -= exchange.request(message++).size();
}

bool Cursor::received(const Exchange &exchange, std::string_view bytes)
{
    while (!bytes.empty()) {
        const std::string_view expected = exchange.answer(message).substr(offset);
        const size_t n = std::min(expected.size(), bytes.size());
        if (std::memcmp(expected.data(), bytes.data(), n) != 0)
            return false;
        bytes.remove_prefix(n);
        offset += n;
        if (n == expected.size()) {
            ++message;
            offset = 0;
        }
    }
    return true;
}

int begin_connect(uint16_t port)
{
    const int fd = new_socket(SOCK_NONBLOCK);
    connect_to(fd, port);
    return fd;
}

Stream connect_and_secure(const Settings &settings, TlsClient *tls, size_t number,
                          int receive_buffer)
{
    const int fd = new_socket(0);
    if (receive_buffer > 0) // before it connects, or the peer has been told of more
        (void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof receive_buffer);
    if (settings.connections > kPortsPerAddress)
        bind_source(fd, number);
    connect_to(fd, settings.port);
    const timeval limit{.tv_sec = kSetupSeconds, .tv_usec = 0};
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    Stream stream(fd, tls);
    if (!stream.secure())
        give_up("TLS handshake: nothing comes");
    return stream;
}

Stream connect_and_open(const Settings &settings, TlsClient *tls, size_t number,
                        int receive_buffer)
{
    Stream stream = connect_and_secure(settings, tls, number, receive_buffer);
    if (!settings.raw)
        open_websocket(stream);
    return stream;
}

void allow_files(size_t connections)
{
    const rlim_t wanted = connections + kOtherFiles;
    rlimit limit{};
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        give_up("getrlimit");
    if (limit.rlim_cur >= wanted)
        return;
    limit.rlim_cur = limit.rlim_max = std::max(limit.rlim_max, wanted);
    if (setrlimit(RLIMIT_NOFILE, &limit) == 0)
        return;
    (void)getrlimit(RLIMIT_NOFILE, &limit);
    std::fprintf(stderr, "%zu connections need %llu open files, and the hard limit is %llu\n",
                 connections, static_cast<unsigned long long>(wanted),
                 static_cast<unsigned long long>(limit.rlim_max));
    give_up("raise it (ulimit -Hn, or LimitNOFILE= of the service)");
}

void set_blocking(int fd, bool blocking)
{
    const int flags = fcntl(fd, F_GETFL);
    if (fcntl(fd, F_SETFL, blocking ? flags & ~O_NONBLOCK : flags | O_NONBLOCK) != 0)
        give_up("fcntl");
}

} // namespace bench
