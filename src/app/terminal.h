#pragma once
// Terminal: where text for people goes and what can be shown there, as values, so that a view can
// be tested without one.

#include <functional>
#include <string>
#include <string_view>

namespace weft::app {

struct TerminalSize {
  int columns = 80;
  int rows = 24;
};

struct Terminal {
  std::function<void(std::string_view)> write;  // all of it, at once
  std::function<TerminalSize()> size;           // now; 80 x 24 if it cannot be asked
  bool interactive = false;                     // a person looks at it and the cursor can move
  bool color = false;
  bool utf8 = false;
};

// The standard error of this process. Colour unless NO_COLOR is set to anything; UTF-8 if the
// locale says so; not interactive if TERM is "dumb" or unset.
Terminal StderrTerminal();

// The first of LC_ALL, LC_CTYPE and LANG that is set decides, as in POSIX. Null: not set.
bool IsUtf8Locale(const char* lc_all, const char* lc_ctype, const char* lang);

enum class Style { kPlain, kDim, kGood, kWarning, kError };

// `text` between the escape sequences of the style; as it is without colour.
std::string Styled(std::string_view text, Style style, bool color);

// `text` without control characters: names come over the network and must not move the cursor.
std::string Printable(std::string_view text);

// One line of at most `columns` columns; what does not fit is cut off. A code point counts as one
// column.
class LineBuilder {
 public:
  LineBuilder(int columns, bool color) : left_(columns), color_(color) {}

  void Add(std::string_view text, Style style = Style::kPlain);
  // Add, filled with spaces to `width` columns on the right or, if `width` is below 0, on the left.
  void AddPadded(std::string_view text, int width, Style style = Style::kPlain);
  int left() const { return left_; }
  const std::string& text() const { return text_; }

 private:
  int left_;
  bool color_;
  std::string text_;
};

// Columns of a text without escape sequences.
int Columns(std::string_view text);

// `share` (0..1) of `width` columns filled: eighths of blocks in UTF-8, '#' and '.' without.
std::string Bar(double share, int width, bool utf8);

}  // namespace weft::app
