// The process itself: starts its program anew, in place. The pid stays, so that whoever watches over
// the process (systemd, a container, a shell) sees no end of it.
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <vector>

#include "instance.h"

extern char** environ;

namespace granary {
namespace {

constexpr uint32_t kArgumentsMax = 65536;

// replaceProcess(file, arguments): does not return, unless the system refuses.
napi_value ReplaceProcess(Call& call) {
  Text file;
  call.String(0, "file", &file);
  bool isArray = false;
  Check(napi_is_array(call.env(), call.at(1), &isArray));
  if (!isArray) FailType("arguments must be an array");
  uint32_t count = 0;
  Check(napi_get_array_length(call.env(), call.at(1), &count));
  if (count == 0 || count > kArgumentsMax) FailRange("the number of arguments is out of range");
  std::vector<std::string> texts;
  texts.reserve(count);
  for (uint32_t i = 0; i < count; i++) {
    Text text;
    call.StringOf(call.Element(1, i, "arguments"), "an argument", &text);
    texts.emplace_back(text.chars(), text.bytes());
    if (texts.back().find('\0') != std::string::npos) FailType("an argument must not hold a zero byte");
  }
  std::vector<char*> pointers;
  pointers.reserve(count + 1);
  for (std::string& text : texts) pointers.push_back(&text[0]);
  pointers.push_back(nullptr);
  const std::string path(file.chars(), file.bytes());

  // Node closes every descriptor of its own at an exec, these three included.
  for (int fd = 0; fd <= 2; fd++) {
    const int flags = fcntl(fd, F_GETFD);
    if (flags >= 0) fcntl(fd, F_SETFD, flags & ~FD_CLOEXEC);
  }
  // What this thread blocks would stay blocked for ever.
  sigset_t none;
  sigemptyset(&none);
  pthread_sigmask(SIG_SETMASK, &none, nullptr);
  execve(path.c_str(), pointers.data(), environ);
  const std::string reason = std::strerror(errno);
  napi_throw_error(call.env(), nullptr, ("the program cannot be started anew: " + reason).c_str());
  throw PendingException{};
}

}  // namespace

void DefineProcessMethods(napi_env env, napi_value exports, KernelInstance* instance) {
  const Method methods[] = {{"replaceProcess", Entry<ReplaceProcess>}};
  DefineMethods(env, exports, methods, 1, instance);
}

}  // namespace granary
