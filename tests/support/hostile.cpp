// hostile.cpp: see hostile.h.
#include "hostile.h"

#include <algorithm>
#include <cstring>
#include <exception>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

namespace test {

namespace {

constexpr rlim_t kOtherDescriptors = 200;

std::chrono::microseconds microseconds(const timeval &time)
{
    return std::chrono::seconds(time.tv_sec) + std::chrono::microseconds(time.tv_usec);
}

std::chrono::microseconds processor_time()
{
    rusage usage{};
    ::getrusage(RUSAGE_SELF, &usage);
    return microseconds(usage.ru_utime) + microseconds(usage.ru_stime);
}

} // namespace

size_t crowd(size_t full, size_t sanitized)
{
    rlimit limit{};
    ::getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &limit);
    const rlim_t room = (limit.rlim_max - kOtherDescriptors) / 2;
    return std::min(scaled(full, sanitized), static_cast<size_t>(room));
}

Bystander::Bystander(int port) : client_(Client::open(port)), thread_([this] { ask(); }) {}

Bystander::~Bystander()
{
    leaving_ = true;
    thread_.join();
}

bool Bystander::is_served()
{
    const size_t seen = answers_;
    // The first of the two may have been asked before.
    return eventually([&] { return failed_ || answers_ >= seen + 2; }) && !failed_;
}

void Bystander::ask()
{
    try {
        while (!leaving_) {
            const std::string question = std::to_string(answers_);
            client_.send_text(question);
            if (client_.receive_past_pings().payload != question)
                fail("another answer");
            ++answers_;
            std::this_thread::sleep_for(std::chrono::milliseconds(1)); // its pace
        }
    } catch (const std::exception &) {
        failed_ = true;
    }
}

std::vector<Client> connect_many(size_t count, int port, const Client::Options &options)
{
    std::vector<Client> clients;
    clients.reserve(count);
    while (clients.size() < count)
        clients.emplace_back(port, options);
    return clients;
}

std::vector<Client> open_many(size_t count, int port, const Client::Options &options)
{
    std::vector<Client> clients = connect_many(count, port, options);
    for (Client &client : clients)
        client.send_raw(upgrade_request());
    for (Client &client : clients)
        if (client.receive_http().status != 101)
            fail("no upgrade");
    return clients;
}

bool send_if_open(Client &client, std::string_view bytes)
{
    try {
        if (client.has_input())
            return false;
        client.send_raw(bytes);
        return true;
    } catch (const std::exception &) {
        return false; // reset
    }
}

LateComer::LateComer() : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0))
{
    const timeval patience{kDeadline.count(), 0};
    ::setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
}

LateComer::~LateComer()
{
    if (fd_ != -1)
        ::close(fd_);
}

void LateComer::connect(int port)
{
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (::connect(fd_, reinterpret_cast<sockaddr *>(&address), sizeof address) != 0)
        fail(std::string("connect: ") + std::strerror(errno));
}

bool LateComer::is_turned_away()
{
    std::string answer;
    char bytes[1024];
    ssize_t n = 0;
    while ((n = ::recv(fd_, bytes, sizeof bytes, 0)) > 0)
        answer.append(bytes, static_cast<size_t>(n));
    if (n < 0)
        return false;
    if (over_tls()) // RFC 8446 6: a fatal alert, internal_error
        return answer == std::string("\x15\x03\x03\x00\x02\x02\x50", 7);
    return answer.starts_with("HTTP/1.1 503 ") && answer.find("\r\nDate: ") != std::string::npos &&
           answer.find("\r\nRetry-After: ") != std::string::npos &&
           answer.ends_with("\r\n\r\nno room for a connection\r\n");
}

bool is_at_rest()
{
    const std::chrono::microseconds before = processor_time();
    std::this_thread::sleep_for(std::chrono::milliseconds(500));
    return processor_time() - before < std::chrono::milliseconds(50);
}

} // namespace test
