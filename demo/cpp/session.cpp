// session.cpp: demo/session.c in C++: a calculator that asks for what it needs. What ends the
// dialogue, wherever it is, is an exception.
//
//     session [port]     default 1234, 0 for any free one
#include <websock/websock.hpp>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <string>

using namespace std::chrono_literals;

namespace {

struct Over {
}; // the client has left, is silent, or has had enough

std::string ask(const websock::Session &session, std::string_view question)
{
    session.send(question);
    const auto answer = session.receive(1min);
    return answer ? std::string(answer->text()) : throw Over();
}

double ask_number(const websock::Session &session)
{
    for (std::string question = "A number?";; question = "That is no number. Once more?") {
        const std::string answer = ask(session, question);
        char *end = nullptr;
        const double number = std::strtod(answer.c_str(), &end);
        if (end != answer.c_str())
            return number;
    }
}

void calculate(const websock::Session &session)
try {
    double sum = 0;
    std::string question = "Hello. + or -, or something else to end?";
    for (;;) {
        const std::string sign = ask(session, question);
        if (sign != "+" && sign != "-")
            throw Over();
        const double number = ask_number(session);
        sum += sign == "+" ? number : -number;
        question = "That makes " + std::to_string(sum) + ". + or -?";
    }
} catch (const Over &) {
}

} // namespace

int main(int argc, char **argv)
try {
    websock::Server server;
    server.on_session(calculate);
    server.listen("127.0.0.1", argc > 1 ? argv[1] : "1234");
    std::printf("session: ws://127.0.0.1:%d/\n", server.port());
    (void)std::fflush(stdout);
    server.run();
} catch (const std::exception &error) {
    std::fprintf(stderr, "session: %s\n", error.what());
    return 1;
}
