// ref.h: Ref, a reference to an object that counts its own references: it has retain() and
// release(), and begins with one. Who may hold them is said where the object is.
#pragma once

#include <cstddef>
#include <utility>

namespace websock {

template<class T> class Ref
{
  public:
    Ref() = default;
    Ref(std::nullptr_t) {}
    Ref(const Ref &other) : object_(other.object_)
    {
        if (object_)
            object_->retain();
    }
    Ref(Ref &&other) noexcept : object_(std::exchange(other.object_, nullptr)) {}
    Ref &operator=(Ref other) noexcept
    {
        std::swap(object_, other.object_);
        return *this;
    }
    ~Ref()
    {
        if (object_)
            object_->release();
    }

    // Takes over a reference, such as the one a new object begins with.
    static Ref adopt(T *object)
    {
        Ref ref;
        ref.object_ = object;
        return ref;
    }
    static Ref share(T *object)
    {
        object->retain();
        return adopt(object);
    }

    T *get() const { return object_; }
    T *operator->() const { return object_; }
    T &operator*() const { return *object_; }
    explicit operator bool() const { return object_ != nullptr; }

  private:
    T *object_ = nullptr;
};

} // namespace websock
