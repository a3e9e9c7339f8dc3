// texts.cpp: see texts.h.
#include "texts.h"

#include "settings.h"

#include <algorithm>
#include <array>
#include <cstdarg>
#include <cstdint>
#include <cstdio>
#include <random>

namespace bench {

namespace {

constexpr size_t kSequenceBytes = 128 * 1024; // four of the largest windows
constexpr size_t kLeastTexts = 4;
constexpr size_t kRecordBytes = 260; // on average

// The same numbers in every run and with every library, which distributions do not promise.
class Random
{
  public:
    uint64_t bits() { return generator_(); }
    uint64_t below(uint64_t end) { return generator_() % end; }
    template<class Choices> auto one_of(const Choices &choices)
    {
        return choices[below(choices.size())];
    }

  private:
    std::mt19937_64 generator_; // its standard seed
};

__attribute__((format(printf, 1, 2))) std::string printed(const char *format, ...)
{
    char text[1024];
    va_list arguments;
    va_start(arguments, format);
    const int length = std::vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (length < 0 || static_cast<size_t>(length) >= sizeof text)
        give_up("a record is too long");
    return text;
}

// What an exchange of stocks or coins tells about a trade.
class Ticker
{
  public:
    explicit Ticker(Random &random) : random_(random)
    {
        for (uint64_t &cents : cents_)
            cents = 100 + random.below(7'000'000);
    }

    std::string next()
    {
        static constexpr std::array kSymbols = {"BTCUSDT", "ETHUSDT", "SOLUSDT", "XRPUSDT",
                                                "ADAUSDT", "DOTUSDT", "LTCUSDT", "BNBUSDT"};
        const size_t symbol = random_.below(kSymbols.size());
        uint64_t &cents = cents_[symbol];
        cents += random_.below(cents / 500 + 3);
        cents -= std::min(cents - 1, random_.below(cents / 500 + 3));
        time_ += 1 + random_.below(40);
        id_ += 1 + random_.below(3);
        const auto money = [](uint64_t all) {
            return printed("%.2f", static_cast<double>(all) / 100);
        };
        return printed(
            "{\"e\":\"trade\",\"s\":\"%s\",\"E\":%llu,\"t\":%llu,\"p\":\"%s\","
            "\"q\":\"%.5f\",\"b\":\"%s\",\"a\":\"%s\",\"v\":\"%.3f\",\"n\":%llu,\"m\":%s}",
            kSymbols[symbol], time_, id_, money(cents).c_str(),
            static_cast<double>(random_.below(300'000)) / 1e5, money(cents - 1).c_str(),
            money(cents + 1 + random_.below(3)).c_str(),
            static_cast<double>(random_.below(90'000'000)) / 1e3, 1 + id_ % 9973,
            random_.below(2) ? "true" : "false");
    }

  private:
    Random &random_;
    std::array<uint64_t, 8> cents_{};
    unsigned long long time_ = 1'795'757'521'123;
    unsigned long long id_ = 48'213'377;
};

// One row of a list, as a web application's API gives it.
std::string record(Random &random)
{
    static constexpr std::array kNames = {"Ada",    "Grace",   "Linus", "Margaret",
                                          "Dennis", "Barbara", "Edgar", "Radia",
                                          "Tim",    "Frances", "Ken",   "Hedy"};
    static constexpr std::array kPlaces = {"Lisbon", "Oslo",  "Nairobi", "Kyoto",
                                           "Quito",  "Turin", "Halifax", "Perth"};
    static constexpr std::array kStates = {"open", "paid", "shipped", "returned", "cancelled"};
    static constexpr std::array kWords = {
        "please",  "deliver", "before", "noon",   "leave",   "with",  "the",    "neighbour",
        "fragile", "handle",  "gift",   "wrap",   "invoice", "to",    "office", "second",
        "floor",   "call",    "first",  "urgent", "sample",  "spare", "part",   "green"};
    std::string note = random.one_of(kWords);
    for (uint64_t more = 2 + random.below(7); more > 0; --more)
        note += std::string(" ") + random.one_of(kWords);
    const std::string name = random.one_of(kNames);
    const auto number = [&](uint64_t end) {
        return static_cast<unsigned long long>(random.below(end));
    };
    return printed("{\"id\":%llu,\"customer\":{\"name\":\"%s\",\"city\":\"%s\",\"mail\":"
                   "\"%s.%llu@example.com\"},\"created\":\"2026-11-%02lluT%02llu:%02llu:%02lluZ\","
                   "\"state\":\"%s\",\"items\":%llu,\"total\":%llu.%02llu,\"token\":\"%08llx\","
                   "\"note\":\"%s\"}",
                   number(9'000'000), name.c_str(), random.one_of(kPlaces), name.c_str(),
                   number(10'000), 1 + number(30), number(24), number(60), number(60),
                   random.one_of(kStates), 1 + number(12), number(4000), number(100),
                   number(uint64_t{1} << 32), note.c_str());
}

// On average of this length.
std::string list(Random &random, size_t length)
{
    std::string text = "{\"page\":" + std::to_string(random.below(5000)) + ",\"rows\":[";
    while (text.size() < length - kRecordBytes / 2)
        text += (text.back() == '[' ? "" : ",") + record(random);
    return text + "]}";
}

std::string noise(Random &random, size_t length)
{
    std::string bytes(length, '\0');
    for (char &byte : bytes)
        byte = static_cast<char>(random.bits() >> 56);
    return bytes;
}

} // namespace

Texts::Texts(std::string_view kind) : utf8_(kind != "random2k")
{
    Random random;
    Ticker ticker(random);
    const auto next = [&]() -> std::string {
        if (kind == "ticker")
            return ticker.next();
        if (kind == "json2k")
            return list(random, 2048);
        if (kind == "json64k")
            return list(random, 65536);
        if (kind == "random2k")
            return noise(random, 2048);
        give_up("--message ticker|json2k|json64k|random2k");
    };
    for (size_t bytes = 0; bytes < kSequenceBytes || texts_.size() < kLeastTexts;) {
        texts_.push_back(next());
        bytes += texts_.back().size();
    }
}

size_t Texts::longest() const
{
    const auto shorter = [](const std::string &a, const std::string &b) {
        return a.size() < b.size();
    };
    return std::max_element(texts_.begin(), texts_.end(), shorter)->size();
}

} // namespace bench
