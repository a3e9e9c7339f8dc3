// deliveries.cpp: chooses the deliveries; see deliveries.h.
#include "deliveries.h"

namespace conformance {

namespace {

constexpr size_t kChop = 997; // a prime: so pieces begin at every alignment

Cuts every(size_t step, size_t len)
{
    Cuts cuts;
    for (size_t at = step; at < len; at += step)
        cuts.push_back(at);
    return cuts;
}

} // namespace

std::vector<Cuts> deliveries(size_t len, const Thoroughness &thoroughness)
{
    std::vector<Cuts> all = {{}};
    if (len < 2 || thoroughness.cuts == 0)
        return all;
    const size_t offsets = len - 1;
    const size_t first = offsets <= thoroughness.cuts ? offsets : thoroughness.cuts / 2;
    for (size_t at = 1; at <= first; at++)
        all.push_back({at});
    const size_t spread = offsets > first ? thoroughness.cuts - first : 0;
    for (size_t i = 1; i <= spread; i++)
        all.push_back({first + (offsets - first) * i / spread});
    if (len > 2)
        all.push_back(every(len <= thoroughness.bytewise ? 1 : kChop, len));
    if (all.back().empty())
        all.pop_back();
    return all;
}

std::string name_of(const Cuts &cuts)
{
    if (cuts.empty())
        return "whole";
    if (cuts.size() == 1)
        return "cut at " + std::to_string(cuts[0]);
    return cuts[0] == 1 ? "byte by byte" : "in pieces of " + std::to_string(cuts[0]);
}

} // namespace conformance
