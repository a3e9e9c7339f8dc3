// settings.cpp: see settings.h.
#include "settings.h"

#include <cstdio>
#include <cstdlib>
#include <getopt.h>
#include <string_view>

namespace bench {

namespace {

[[noreturn]] void usage(const char *program)
{
    std::fprintf(stderr,
                 "usage: %s --port PORT [--server-pid PID] [--raw] [--text]\n"
                 "    [--tls|--resumed] [--connections N] [--payload BYTES] [--depth N]\n"
                 "    [--seconds S] [--warmup S] [--until secured|opened|closed]\n"
                 "    [--rate MESSAGES_PER_SECOND] [--deaf N] [--bytes N] [--upload]\n"
                 "    [--message ticker|json2k|json64k|random2k] [--compressed] [--hold]\n",
                 program);
    std::exit(2);
}

double number(const char *text, double least, double most, const char *program)
{
    char *end = nullptr;
    const double value = std::strtod(text, &end);
    if (end == text || *end != '\0' || !(value >= least && value <= most)) {
        std::fprintf(stderr, "%s: not a number from %g to %g\n", text, least, most);
        usage(program);
    }
    return value;
}

Until until(std::string_view text, const char *program)
{
    if (text == "secured")
        return Until::secured;
    if (text == "opened")
        return Until::opened;
    if (text == "closed")
        return Until::closed;
    usage(program);
}

} // namespace

Settings parse_settings(int argc, char **argv, Settings settings)
{
    static const option options[] = {
        {"port", required_argument, nullptr, 'p'},
        {"server-pid", required_argument, nullptr, 's'},
        {"raw", no_argument, nullptr, 'r'},
        {"text", no_argument, nullptr, 't'},
        {"tls", no_argument, nullptr, 'T'},
        {"resumed", no_argument, nullptr, 'R'},
        {"until", required_argument, nullptr, 'u'},
        {"connections", required_argument, nullptr, 'c'},
        {"payload", required_argument, nullptr, 'b'},
        {"depth", required_argument, nullptr, 'd'},
        {"seconds", required_argument, nullptr, 'l'},
        {"warmup", required_argument, nullptr, 'w'},
        {"rate", required_argument, nullptr, 'm'},
        {"deaf", required_argument, nullptr, 'D'},
        {"message", required_argument, nullptr, 'M'},
        {"compressed", no_argument, nullptr, 'z'},
        {"bytes", required_argument, nullptr, 'B'},
        {"upload", no_argument, nullptr, 'U'},
        {"hold", no_argument, nullptr, 'h'},
        {nullptr, 0, nullptr, 0},
    };
    for (;;) {
        const int chosen = getopt_long(argc, argv, "", options, nullptr);
        const auto value = [&](double least, double most) {
            return number(optarg, least, most, argv[0]);
        };
        switch (chosen) {
        case 'p':
            settings.port = static_cast<uint16_t>(value(1, 65535));
            continue;
        case 's':
            settings.server = static_cast<pid_t>(value(1, 1e9));
            continue;
        case 'r':
            settings.raw = true;
            continue;
        case 't':
            settings.text = true;
            continue;
        case 'T':
            settings.tls = true;
            continue;
        case 'R':
            settings.tls = settings.resumed = true;
            continue;
        case 'u':
            settings.until = until(optarg, argv[0]);
            continue;
        case 'c':
            settings.connections = static_cast<size_t>(value(1, kMostConnections));
            continue;
        case 'b':
            settings.payload = static_cast<size_t>(value(1, kMostPayload));
            continue;
        case 'd':
            settings.depth = static_cast<size_t>(value(1, kMostDepth));
            continue;
        case 'l':
            settings.seconds = value(0.1, kMostSeconds);
            continue;
        case 'w':
            settings.warmup_seconds = value(0, kMostSeconds);
            continue;
        case 'D':
            settings.deaf = static_cast<size_t>(value(0, kMostConnections));
            continue;
        case 'M':
            settings.message = optarg;
            continue;
        case 'z':
            settings.compressed = true;
            continue;
        case 'B':
            settings.bytes = static_cast<uint64_t>(value(1, kMostBytes));
            continue;
        case 'U':
            settings.upload = true;
            continue;
        case 'h':
            settings.hold = true;
            continue;
        case 'm':
            settings.rate = value(1, kMostRate);
            continue;
        case -1:
            if (settings.port == 0 || optind != argc)
                usage(argv[0]);
            return settings;
        default:
            usage(argv[0]);
        }
    }
}

void give_up(const char *what)
{
    std::fprintf(stderr, "%s\n", what);
    std::exit(1);
}

} // namespace bench
