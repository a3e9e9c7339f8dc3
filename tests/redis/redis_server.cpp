// redis_server.cpp: see redis_server.h.
#include "redis_server.h"

#include "until.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <signal.h>
#include <stdexcept>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#include <utility>

namespace test {

namespace {

std::string program()
{
    // Taken out of its package, see tests/deps.sh; or in the PATH.
    return std::filesystem::exists("build/redis-server") ? "build/redis-server" : "redis-server";
}

std::string text_of(const redisReply &reply)
{
    switch (reply.type) {
    case REDIS_REPLY_INTEGER:
        return std::to_string(reply.integer);
    case REDIS_REPLY_NIL:
        return "";
    case REDIS_REPLY_ARRAY: {
        std::string text;
        for (size_t i = 0; i < reply.elements; ++i)
            text += text_of(*reply.element[i]) + "\n";
        return text;
    }
    default:
        return std::string(reply.str, reply.len);
    }
}

} // namespace

RedisServer::RedisServer(std::vector<std::string> settings) : settings_(std::move(settings))
{
    std::string name = "/tmp/websock-redis-XXXXXX";
    if (!mkdtemp(name.data()))
        throw std::runtime_error("mkdtemp");
    directory_ = name;
    socket_ = directory_ + "/socket";
    start();
}

RedisServer::~RedisServer()
{
    kill();
    std::error_code ignored;
    std::filesystem::remove_all(directory_, ignored);
}

void RedisServer::start()
{
    {
        std::ofstream file(directory_ + "/redis.conf");
        file << "port 0\nunixsocket " << socket_ << "\nsave \"\"\nappendonly yes\n"
             << "appendfsync always\ndir " << directory_ << "\nlogfile " << directory_ << "/log\n";
        for (const std::string &line : settings_)
            file << line << "\n";
    }
    const std::string path = program();
    const std::string file = directory_ + "/redis.conf";
    pid_ = fork();
    if (pid_ == 0) {
        sigset_t none;
        sigemptyset(&none);
        sigprocmask(SIG_SETMASK, &none, nullptr);
        ::signal(SIGXFSZ, SIG_IGN); // for fill_disk()
        execlp(path.c_str(), path.c_str(), file.c_str(), nullptr);
        _exit(127);
    }
    if (!until([&] { return answers(); }))
        throw std::runtime_error("redis-server does not start");
}

bool RedisServer::answers()
{
    redisContext *const context = redisConnectUnix(socket_.c_str());
    if (!context)
        return false;
    bool answers = false;
    if (context->err == 0) {
        auto *const reply = static_cast<redisReply *>(redisCommand(context, "PING"));
        // While it loads, it says so; with a password, that one is needed.
        answers = reply && (reply->type == REDIS_REPLY_STATUS ||
                            std::string(reply->str, reply->len).starts_with("NOAUTH"));
        freeReplyObject(reply);
    }
    redisFree(context);
    return answers;
}

void RedisServer::signal(int number)
{
    if (pid_ != 0)
        ::kill(pid_, number);
}

void RedisServer::kill()
{
    signal(SIGKILL);
    if (pid_ != 0)
        waitpid(pid_, nullptr, 0);
    pid_ = 0;
}

void RedisServer::freeze() { signal(SIGSTOP); }
void RedisServer::thaw() { signal(SIGCONT); }

void RedisServer::forget_data() { std::filesystem::remove_all(directory_ + "/appendonlydir"); }

void RedisServer::save_data()
{
    std::filesystem::copy(directory_ + "/appendonlydir", directory_ + "/saved",
                          std::filesystem::copy_options::recursive);
}

void RedisServer::return_to_saved_data()
{
    forget_data();
    std::filesystem::rename(directory_ + "/saved", directory_ + "/appendonlydir");
}

void RedisServer::leave_half_a_transaction(const std::vector<std::vector<std::string>> &commands)
{
    std::ofstream file(directory_ + "/appendonlydir/appendonly.aof.1.incr.aof", std::ios::app);
    file << "*1\r\n$5\r\nMULTI\r\n";
    for (const std::vector<std::string> &words : commands) {
        file << "*" << words.size() << "\r\n";
        for (const std::string &word : words)
            file << "$" << word.size() << "\r\n" << word << "\r\n";
    }
    file << "*1\r\n$4\r\nEX"; // of EXEC
}

void RedisServer::fill_disk(bool full)
{
    rlimit limit{};
    prlimit(pid_, RLIMIT_FSIZE, nullptr, &limit);
    limit.rlim_cur = full ? 100 : limit.rlim_max;
    prlimit(pid_, RLIMIT_FSIZE, &limit, nullptr);
}

std::string RedisServer::command(const std::vector<std::string> &words)
{
    redisContext *const context = redisConnectUnix(socket_.c_str());
    std::vector<const char *> texts;
    std::vector<size_t> lengths;
    for (const std::string &word : words) {
        texts.push_back(word.data());
        lengths.push_back(word.size());
    }
    auto *const reply = static_cast<redisReply *>(
        redisCommandArgv(context, static_cast<int>(words.size()), texts.data(), lengths.data()));
    const std::string text = reply ? text_of(*reply) : "no reply";
    freeReplyObject(reply);
    redisFree(context);
    return text;
}

std::string RedisServer::state(const std::string &topic, const std::string &field)
{
    return command(
        {"EVAL",
         "local f = {}\n"
         "f.e, f.o, f.t, f.n = struct.unpack('<c16ddd', redis.call('HGET', KEYS[1], 's'))\n"
         "return f[ARGV[1]]",
         "1", "websock:h:" + topic, field});
}

void RedisServer::set_offset(const std::string &topic, int offset)
{
    command({"EVAL",
             "local s = redis.call('HGET', KEYS[1], 's')\n"
             "s = s:sub(1, 16) .. struct.pack('<d', ARGV[1]) .. s:sub(25)\n"
             "redis.call('HSET', KEYS[1], 's', s)",
             "1", "websock:h:" + topic, std::to_string(offset)});
}

} // namespace test
