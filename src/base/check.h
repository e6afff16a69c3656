#pragma once
// CHECK: stops the program when our own reasoning was wrong. Always on. DCHECK only in debug
// builds, for inner loops.
//
//   CHECK(n > 0) << "n is " << n;

#include <sstream>

namespace weft::base {

// Collects the message, then prints "file:line: CHECK failed: condition message" on stderr and
// aborts.
class CheckFailure {
 public:
  CheckFailure(const char* file, int line, const char* condition);
  [[noreturn]] ~CheckFailure();
  std::ostream& stream() { return stream_; }

 private:
  std::ostringstream stream_;
};

struct CheckVoidify {
  void operator&(std::ostream&) const {}
};

}  // namespace weft::base

#define CHECK(condition)                       \
  (condition) ? static_cast<void>(0)           \
              : ::weft::base::CheckVoidify() & \
                    ::weft::base::CheckFailure(__FILE__, __LINE__, #condition).stream()

#define CHECK_EQ(a, b) CHECK((a) == (b)) << "(" << (a) << " vs " << (b) << ") "
#define CHECK_LE(a, b) CHECK((a) <= (b)) << "(" << (a) << " vs " << (b) << ") "
#define CHECK_LT(a, b) CHECK((a) < (b)) << "(" << (a) << " vs " << (b) << ") "

#ifdef NDEBUG
#define DCHECK(condition) CHECK(true || (condition))
#elif defined(__OPTIMIZE__)
#define DCHECK(condition) CHECK(true || (condition))
#else
#define DCHECK(condition) CHECK(condition)
#endif
