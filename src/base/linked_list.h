// linked_list.h: a list that links its elements through their own fields, so that adding one
// cannot fail and removing one needs no search. It owns nothing and locks nothing.
#pragma once

#include <cstddef>

namespace websock {

// T has the fields T *previous and T *next. An element is in one such list at a time.
template<class T> class LinkedList
{
  public:
    bool empty() const { return first_ == nullptr; }
    size_t size() const { return size_; }
    T *front() const { return first_; } // nullptr: the list is empty

    void push_back(T &element)
    {
        element.previous = last_;
        element.next = nullptr;
        (last_ ? last_->next : first_) = &element;
        last_ = &element;
        ++size_;
    }

    // The element must be in this list.
    void erase(T &element)
    {
        (element.previous ? element.previous->next : first_) = element.next;
        (element.next ? element.next->previous : last_) = element.previous;
        element.previous = element.next = nullptr;
        --size_;
    }

  private:
    T *first_ = nullptr;
    T *last_ = nullptr;
    size_t size_ = 0;
};

} // namespace websock
