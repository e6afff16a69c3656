#include "app/terminal.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cmath>
#include <cstdio>
#include <cstdlib>

namespace weft::app {
namespace {

bool IsSet(const char* variable) { return variable != nullptr && variable[0] != '\0'; }

std::string_view EscapeOf(Style style) {
  switch (style) {
    case Style::kPlain:
      return "";
    case Style::kDim:
      return "\x1b[2m";
    case Style::kGood:
      return "\x1b[32m";
    case Style::kWarning:
      return "\x1b[33m";
    case Style::kError:
      return "\x1b[31m";
  }
  return "";
}

// The first byte of a code point, not one of those that continue it.
bool Starts(char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }

TerminalSize StderrSize() {
  TerminalSize size;
  winsize window{};
  if (::ioctl(STDERR_FILENO, TIOCGWINSZ, &window) == 0) {
    if (window.ws_col > 0) size.columns = window.ws_col;
    if (window.ws_row > 0) size.rows = window.ws_row;
  }
  return size;
}

}  // namespace

Terminal StderrTerminal() {
  Terminal terminal;
  terminal.write = [](std::string_view text) {
    std::fwrite(text.data(), 1, text.size(), stderr);
    std::fflush(stderr);
  };
  terminal.size = StderrSize;
  const char* term = std::getenv("TERM");
  terminal.interactive =
      ::isatty(STDERR_FILENO) != 0 && IsSet(term) && std::string_view(term) != "dumb";
  terminal.color = terminal.interactive && !IsSet(std::getenv("NO_COLOR"));
  terminal.utf8 = IsUtf8Locale(std::getenv("LC_ALL"), std::getenv("LC_CTYPE"), std::getenv("LANG"));
  return terminal;
}

bool IsUtf8Locale(const char* lc_all, const char* lc_ctype, const char* lang) {
  for (const char* variable : {lc_all, lc_ctype, lang}) {
    if (!IsSet(variable)) continue;
    std::string name;
    for (const char c : std::string_view(variable)) {
      if (c != '-') name += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    }
    return name.find("utf8") != std::string::npos;
  }
  return false;
}

std::string Styled(std::string_view text, Style style, bool color) {
  if (!color || style == Style::kPlain || text.empty()) return std::string(text);
  return std::string(EscapeOf(style)) + std::string(text) + "\x1b[0m";
}

std::string Printable(std::string_view text) {
  std::string printable(text);
  for (size_t i = 0; i < printable.size(); ++i) {
    const auto c = static_cast<unsigned char>(printable[i]);
    // In UTF-8 the control characters U+0080 to U+009F begin with 0xC2.
    const bool c1 =
        c >= 0x80 && c < 0xA0 && i > 0 && static_cast<unsigned char>(text[i - 1]) == 0xC2;
    if (c < 0x20 || c == 0x7F) printable[i] = '?';
    if (c1) {
      printable[i - 1] = '?';
      printable[i] = '?';
    }
  }
  return printable;
}

int Columns(std::string_view text) {
  return static_cast<int>(std::count_if(text.begin(), text.end(), Starts));
}

void LineBuilder::Add(std::string_view text, Style style) {
  size_t end = 0;
  while (end < text.size() && (left_ > 0 || !Starts(text[end]))) {
    left_ -= Starts(text[end]) ? 1 : 0;
    ++end;
  }
  text_ += Styled(text.substr(0, end), style, color_);
}

void LineBuilder::AddPadded(std::string_view text, int width, Style style) {
  const std::string space(static_cast<size_t>(std::max(0, std::abs(width) - Columns(text))), ' ');
  Add(width < 0 ? space + std::string(text) : std::string(text) + space, style);
}

std::string Bar(double share, int width, bool utf8) {
  static constexpr const char* kEighths[] = {" ", "▏", "▎", "▍", "▌", "▋", "▊", "▉", "█"};
  share = std::clamp(std::isfinite(share) ? share : 0.0, 0.0, 1.0);
  const int eighths = static_cast<int>(share * width * 8);
  std::string bar;
  for (int column = 0; column < width; ++column) {
    const int filled = std::clamp(eighths - 8 * column, 0, 8);
    bar += utf8 ? kEighths[filled] : filled == 8 ? "#" : ".";
  }
  return bar;
}

}  // namespace weft::app
