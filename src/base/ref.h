// ref.h: Ref, a counted reference to an object that counts its own references
// (retain(), release(); a new object has one). Who holds them is said there.
#pragma once

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

    // Takes over the reference a new object is born with.
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
