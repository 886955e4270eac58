// The load generator: one thread, one epoll, keep-alive connections, requests that were built and signed
// beforehand. A connection sends its next request when the answer to the last one is complete.
//
//   load PLAN --port P [--host H] [--connections N] [--seconds S] [--loop] [--verify N] [--pid PID]
//        [--cut BYTES --hold MILLISECONDS]
//
// PLAN is described in plan.ts. Without --loop the plan runs once, with it until --seconds are over.
// Bodies, sent and expected, are windows of one pattern; the first --verify answers that carry one are
// compared byte by byte, of the others the kernel throws the bytes away unread (MSG_TRUNC) and the length
// is checked. --pid: CPU time of that process over the run, from /proc. --cut: every connection stops
// after so many bytes of its body; when all have, they hold still and are then closed.
// Prints one line of JSON. Exit code 1 when nothing could be measured.
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

namespace {

// No divisor of a stripe, so that exchanged stripes are noticed. plan.ts knows it.
constexpr size_t kPatternBytes = (size_t{1} << 20) + 4177;
constexpr size_t kSendPieceBytes = size_t{1} << 20;
constexpr size_t kBufferBytes = size_t{1} << 18;
constexpr size_t kHeadBytesMax = size_t{1} << 16;
constexpr uint64_t kErrorsMax = 1000;
constexpr int kStallSeconds = 60;
constexpr uint32_t kFlagNoBody = 1;
constexpr uint32_t kFlagPattern = 2;

// One request of the plan; its head follows in the file.
struct Request {
  uint32_t headBytes;
  uint32_t expectedStatus;
  uint64_t bodyBytes;
  // −1: whatever comes.
  int64_t expectedBytes;
  uint64_t patternOffset;
  uint32_t flags;
  uint32_t reserved;
};
static_assert(sizeof(Request) == 40, "plan.ts writes 40 bytes");

struct PlannedRequest {
  Request what;
  const char* head;
};

struct Options {
  std::string plan;
  std::string host = "127.0.0.1";
  std::string port;
  size_t connections = 1;
  double seconds = 0;
  bool loops = false;
  uint64_t verify = 0;
  long pid = 0;
  uint64_t cutBytes = 0;
  long holdMs = 0;
};

[[noreturn]] void Die(const std::string& text) {
  fprintf(stderr, "load: %s\n", text.c_str());
  exit(1);
}

uint64_t NowNanos() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1000000000u + static_cast<uint64_t>(now.tv_nsec);
}

uint64_t OwnCpuMicros() {
  rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  const auto micros = [](const timeval& t) {
    return static_cast<uint64_t>(t.tv_sec) * 1000000u + static_cast<uint64_t>(t.tv_usec);
  };
  return micros(usage.ru_utime) + micros(usage.ru_stime);
}

// User and system time of all threads of a process, −1 when it is gone.
int64_t CpuMicrosOf(long pid) {
  const std::string path = "/proc/" + std::to_string(pid) + "/stat";
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return -1;
  char text[2048];
  const ssize_t bytes = read(fd, text, sizeof(text) - 1);
  close(fd);
  if (bytes <= 0) return -1;
  text[bytes] = 0;
  // The name in parentheses may hold anything; fields 14 and 15 are counted from behind it.
  const char* at = strrchr(text, ')');
  unsigned long long user = 0;
  unsigned long long system = 0;
  if (at == nullptr || sscanf(at + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu", &user, &system) != 2) {
    return -1;
  }
  return static_cast<int64_t>((user + system) * 1000000u / static_cast<unsigned long long>(sysconf(_SC_CLK_TCK)));
}

// 16 buckets to each doubling: 6 % wide, exact below 16 µs.
class Histogram {
 public:
  void Add(uint64_t micros) {
    max_ = std::max(max_, micros);
    counts_[BucketOf(micros)]++;
  }

  void Print() const {
    printf("\"maxMicros\":%llu,\"histogram\":[", static_cast<unsigned long long>(max_));
    bool isFirst = true;
    for (size_t bucket = 0; bucket < counts_.size(); bucket++) {
      if (counts_[bucket] == 0) continue;
      printf("%s[%llu,%llu]", isFirst ? "" : ",", static_cast<unsigned long long>(std::min(TopOf(bucket), max_)),
             static_cast<unsigned long long>(counts_[bucket]));
      isFirst = false;
    }
    printf("]");
  }

 private:
  static size_t BucketOf(uint64_t micros) {
    if (micros < 16) return static_cast<size_t>(micros);
    const int top = 63 - __builtin_clzll(micros);
    return static_cast<size_t>((top - 3) * 16) + static_cast<size_t>((micros >> (top - 4)) & 15);
  }

  // The largest value of a bucket.
  static uint64_t TopOf(size_t bucket) {
    if (bucket < 16) return bucket;
    const int shift = static_cast<int>(bucket / 16) - 1;
    return ((16 + bucket % 16 + 1) << shift) - 1;
  }

  std::vector<uint64_t> counts_ = std::vector<uint64_t>(61 * 16, 0);
  uint64_t max_ = 0;
};

struct Connection {
  int fd = -1;
  bool isBusy = false;
  bool isBlocked = false;
  bool isCut = false;
  const PlannedRequest* request = nullptr;
  uint64_t startNanos = 0;
  uint64_t headSent = 0;
  uint64_t bodySent = 0;
  // The answer so far.
  std::string head;
  bool inBody = false;
  bool isChunked = false;
  bool closesAfter = false;
  bool isVerified = false;
  bool mismatches = false;
  int status = 0;
  uint64_t bodyLeft = 0;
  uint64_t bodyReceived = 0;
  // The chunk decoder's line, and what is left of its chunk: data, then CRLF, then a line again.
  std::string chunkLine;
  bool inTrailer = false;
  std::string errorText;
};

class Load {
 public:
  explicit Load(const Options& options) : options_(options) {
    ReadPlan();
    FillPattern();
    Resolve();
    epoll_ = epoll_create1(EPOLL_CLOEXEC);
    if (epoll_ < 0) Die("no epoll");
  }

  int Run();

 private:
  void ReadPlan();
  void FillPattern();
  void Resolve();
  void Connect(Connection* connection);
  void Watch(Connection* connection, bool wantsOut);
  void Disconnect(Connection* connection);
  void Begin(Connection* connection);
  void Send(Connection* connection);
  void Receive(Connection* connection);
  // The following answer false when the connection is gone or the answer complete.
  bool Feed(Connection* connection, const char* data, size_t bytes);
  bool ParseHead(Connection* connection);
  bool TakeBody(Connection* connection, const char* data, size_t bytes);
  bool TakeChunks(Connection* connection, const char* data, size_t bytes);
  void CountBody(Connection* connection, const char* data, size_t bytes);
  void Complete(Connection* connection);
  void Fail(Connection* connection, const std::string& text);
  void Cut(Connection* connection);
  void HoldAndClose();
  bool MayBegin();
  int Report(uint64_t cpuBefore, int64_t serverBefore, int64_t serverAfter);

  const Options options_;
  std::vector<char> plan_;
  std::vector<PlannedRequest> requests_;
  std::vector<char> pattern_;
  sockaddr_storage address_ = {};
  socklen_t addressBytes_ = 0;
  int epoll_ = -1;
  std::vector<std::unique_ptr<Connection>> connections_;
  std::vector<char> buffer_ = std::vector<char>(kBufferBytes);
  size_t next_ = 0;
  size_t busy_ = 0;
  size_t cut_ = 0;
  uint64_t startNanos_ = 0;
  uint64_t endNanos_ = 0;
  uint64_t stopNanos_ = 0;
  uint64_t verified_ = 0;
  uint64_t completed_ = 0;
  uint64_t errors_ = 0;
  uint64_t sentBytes_ = 0;
  uint64_t receivedBytes_ = 0;
  std::string firstError_;
  Histogram latency_;
};

void Load::ReadPlan() {
  const int fd = open(options_.plan.c_str(), O_RDONLY | O_CLOEXEC);
  struct stat found;
  if (fd < 0 || fstat(fd, &found) != 0) Die("cannot read the plan " + options_.plan);
  plan_.resize(static_cast<size_t>(found.st_size));
  size_t done = 0;
  while (done < plan_.size()) {
    const ssize_t got = read(fd, plan_.data() + done, plan_.size() - done);
    if (got <= 0) Die("cannot read the plan");
    done += static_cast<size_t>(got);
  }
  close(fd);
  if (plan_.size() < 16 || memcmp(plan_.data(), "GRNLOAD1", 8) != 0) Die("not a plan");
  uint64_t count;
  memcpy(&count, plan_.data() + 8, sizeof(count));
  size_t at = 16;
  for (uint64_t i = 0; i < count; i++) {
    PlannedRequest request;
    if (plan_.size() - at < sizeof(Request)) Die("the plan is cut short");
    memcpy(&request.what, plan_.data() + at, sizeof(Request));
    at += sizeof(Request);
    if (plan_.size() - at < request.what.headBytes) Die("the plan is cut short");
    request.head = plan_.data() + at;
    at += request.what.headBytes;
    requests_.push_back(request);
  }
  if (requests_.empty()) Die("the plan is empty");
}

void Load::FillPattern() {
  // xorshift64, little endian.
  pattern_.resize(kPatternBytes + 8);
  uint64_t state = 0x9e3779b97f4a7c15u;
  for (size_t at = 0; at < kPatternBytes; at += 8) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    memcpy(&pattern_[at], &state, 8);
  }
}

void Load::Resolve() {
  addrinfo hints = {};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (getaddrinfo(options_.host.c_str(), options_.port.c_str(), &hints, &found) != 0) Die("unknown host");
  memcpy(&address_, found->ai_addr, found->ai_addrlen);
  addressBytes_ = found->ai_addrlen;
  freeaddrinfo(found);
}

void Load::Connect(Connection* connection) {
  connection->fd = socket(address_.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (connection->fd < 0) Die(std::string("no socket: ") + strerror(errno));
  if (connect(connection->fd, reinterpret_cast<sockaddr*>(&address_), addressBytes_) != 0) {
    Die(std::string("cannot connect: ") + strerror(errno));
  }
  const int on = 1;
  setsockopt(connection->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
  fcntl(connection->fd, F_SETFL, fcntl(connection->fd, F_GETFL) | O_NONBLOCK);
  epoll_event event = {};
  event.events = EPOLLIN | EPOLLRDHUP;
  event.data.ptr = connection;
  if (epoll_ctl(epoll_, EPOLL_CTL_ADD, connection->fd, &event) != 0) Die("epoll_ctl");
  connection->isBlocked = false;
}

void Load::Watch(Connection* connection, bool wantsOut) {
  if (connection->isBlocked == wantsOut) return;
  connection->isBlocked = wantsOut;
  epoll_event event = {};
  event.events = EPOLLIN | EPOLLRDHUP | (wantsOut ? static_cast<uint32_t>(EPOLLOUT) : 0u);
  event.data.ptr = connection;
  if (epoll_ctl(epoll_, EPOLL_CTL_MOD, connection->fd, &event) != 0) Die("epoll_ctl");
}

void Load::Disconnect(Connection* connection) {
  if (connection->fd >= 0) close(connection->fd);
  connection->fd = -1;
}

bool Load::MayBegin() {
  if (errors_ >= kErrorsMax) return false;
  if (stopNanos_ != 0 && NowNanos() >= stopNanos_) return false;
  if (next_ < requests_.size()) return true;
  if (!options_.loops) return false;
  next_ = 0;
  return true;
}

void Load::Begin(Connection* connection) {
  if (!MayBegin()) return;
  if (connection->fd < 0) Connect(connection);
  connection->request = &requests_[next_++];
  connection->isBusy = true;
  busy_++;
  connection->headSent = 0;
  connection->bodySent = 0;
  connection->head.clear();
  connection->inBody = false;
  connection->isChunked = false;
  connection->closesAfter = false;
  connection->mismatches = false;
  connection->bodyReceived = 0;
  connection->errorText.clear();
  connection->isVerified = (connection->request->what.flags & kFlagPattern) != 0 && verified_ < options_.verify;
  if (connection->isVerified) verified_++;
  connection->startNanos = NowNanos();
  Send(connection);
}

void Load::Send(Connection* connection) {
  const Request& what = connection->request->what;
  const uint64_t bodyBytes = options_.cutBytes != 0 ? std::min(what.bodyBytes, options_.cutBytes) : what.bodyBytes;
  while (connection->headSent < what.headBytes || connection->bodySent < bodyBytes) {
    iovec parts[3];
    int count = 0;
    const uint64_t headLeft = what.headBytes - connection->headSent;
    if (headLeft > 0) {
      parts[count++] = {const_cast<char*>(connection->request->head) + connection->headSent,
                        static_cast<size_t>(headLeft)};
    }
    uint64_t piece = std::min<uint64_t>(bodyBytes - connection->bodySent, kSendPieceBytes);
    uint64_t at = (what.patternOffset + connection->bodySent) % kPatternBytes;
    while (piece > 0 && count < 3) {
      const size_t part = static_cast<size_t>(std::min<uint64_t>(piece, kPatternBytes - at));
      parts[count++] = {pattern_.data() + at, part};
      piece -= part;
      at = 0;
    }
    msghdr message = {};
    message.msg_iov = parts;
    message.msg_iovlen = static_cast<size_t>(count);
    const ssize_t sent = sendmsg(connection->fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0) {
      if (errno == EINTR) continue;
      if (errno == EAGAIN) {
        Watch(connection, true);
        return;
      }
      // The server may have answered before it closed: the answer is the better reason.
      if (errno == EPIPE || errno == ECONNRESET) {
        Receive(connection);
        if (connection->fd >= 0 && connection->isBusy) Fail(connection, "the server closed while it was sent to");
        return;
      }
      Fail(connection, std::string("send: ") + strerror(errno));
      return;
    }
    const uint64_t ofHead = std::min<uint64_t>(headLeft, static_cast<uint64_t>(sent));
    connection->headSent += ofHead;
    connection->bodySent += static_cast<uint64_t>(sent) - ofHead;
    sentBytes_ += static_cast<uint64_t>(sent) - ofHead;
  }
  Watch(connection, false);
  if (options_.cutBytes != 0 && bodyBytes < what.bodyBytes) Cut(connection);
}

void Load::Receive(Connection* connection) {
  for (;;) {
    const bool discards = connection->inBody && !connection->isChunked && !connection->isVerified &&
                          connection->status == static_cast<int>(connection->request->what.expectedStatus);
    size_t wanted = buffer_.size();
    if (discards) wanted = static_cast<size_t>(std::min<uint64_t>(connection->bodyLeft, uint64_t{1} << 30));
    const ssize_t got = recv(connection->fd, buffer_.data(), wanted, MSG_DONTWAIT | (discards ? MSG_TRUNC : 0));
    if (got < 0) {
      if (errno == EINTR) continue;
      if (errno == EAGAIN) return;
      if (connection->isBusy)
        Fail(connection, std::string("receive: ") + strerror(errno));
      else
        Disconnect(connection);
      return;
    }
    if (got == 0) {
      if (connection->isBusy)
        Fail(connection, "the server closed before its answer was complete");
      else
        Disconnect(connection);
      return;
    }
    if (!connection->isBusy) {
      Disconnect(connection);
      return;
    }
    const bool goesOn = discards ? TakeBody(connection, nullptr, static_cast<size_t>(got))
                                 : Feed(connection, buffer_.data(), static_cast<size_t>(got));
    if (!goesOn) return;
    // A short read has emptied the socket: the next one would only say so.
    if (!discards && static_cast<size_t>(got) < wanted) return;
  }
}

bool Load::Feed(Connection* connection, const char* data, size_t bytes) {
  if (connection->inBody) return TakeBody(connection, data, bytes);
  const size_t before = connection->head.size();
  connection->head.append(data, bytes);
  const size_t end = connection->head.find("\r\n\r\n", before < 3 ? 0 : before - 3);
  if (end == std::string::npos) {
    if (connection->head.size() <= kHeadBytesMax) return true;
    Fail(connection, "an answer without an end of its head");
    return false;
  }
  const size_t rest = connection->head.size() - (end + 4);
  connection->head.resize(end + 2);
  if (!ParseHead(connection)) return false;
  connection->inBody = true;
  if (!connection->isChunked && connection->bodyLeft == 0) {
    Complete(connection);
    return false;
  }
  return rest == 0 || TakeBody(connection, data + bytes - rest, rest);
}

bool Load::ParseHead(Connection* connection) {
  const std::string& head = connection->head;
  connection->status = head.size() > 12 && head.compare(0, 5, "HTTP/") == 0 ? atoi(head.c_str() + 9) : 0;
  bool hasLength = false;
  for (size_t at = head.find("\r\n") + 2; at < head.size();) {
    const size_t end = head.find("\r\n", at);
    const char* line = head.c_str() + at;
    if (strncasecmp(line, "content-length:", 15) == 0) {
      connection->bodyLeft = strtoull(line + 15, nullptr, 10);
      hasLength = true;
    } else if (strncasecmp(line, "transfer-encoding:", 18) == 0) {
      connection->isChunked = true;
      connection->chunkLine.clear();
      connection->inTrailer = false;
      connection->bodyLeft = 0;
    } else if (strncasecmp(line, "connection:", 11) == 0) {
      const std::string value(line + 11, end - at - 11);
      connection->closesAfter = strcasestr(value.c_str(), "close") != nullptr;
    }
    at = end + 2;
  }
  const bool hasNoBody =
      (connection->request->what.flags & kFlagNoBody) != 0 || connection->status == 204 || connection->status == 304;
  if (hasNoBody) {
    connection->bodyLeft = 0;
    connection->isChunked = false;
    return true;
  }
  if (hasLength || connection->isChunked) return true;
  Fail(connection, "an answer without a length: " + head.substr(0, 200));
  return false;
}

void Load::CountBody(Connection* connection, const char* data, size_t bytes) {
  const Request& what = connection->request->what;
  if (data != nullptr && connection->status != static_cast<int>(what.expectedStatus)) {
    if (connection->errorText.size() < 300) connection->errorText.append(data, std::min<size_t>(bytes, 300));
  } else if (data != nullptr && connection->isVerified) {
    size_t done = 0;
    while (done < bytes) {
      const size_t at = static_cast<size_t>((what.patternOffset + connection->bodyReceived + done) % kPatternBytes);
      const size_t part = std::min(bytes - done, kPatternBytes - at);
      if (memcmp(data + done, &pattern_[at], part) != 0) connection->mismatches = true;
      done += part;
    }
  }
  connection->bodyReceived += bytes;
  receivedBytes_ += bytes;
}

bool Load::TakeBody(Connection* connection, const char* data, size_t bytes) {
  if (connection->isChunked) return TakeChunks(connection, data, bytes);
  if (bytes > connection->bodyLeft) {
    Fail(connection, "an answer longer than its length");
    return false;
  }
  CountBody(connection, data, bytes);
  connection->bodyLeft -= bytes;
  if (connection->bodyLeft > 0) return true;
  Complete(connection);
  return false;
}

bool Load::TakeChunks(Connection* connection, const char* data, size_t bytes) {
  size_t at = 0;
  while (at < bytes) {
    if (connection->bodyLeft > 0) {
      const size_t part = static_cast<size_t>(std::min<uint64_t>(connection->bodyLeft, bytes - at));
      CountBody(connection, data + at, part);
      connection->bodyLeft -= part;
      at += part;
      continue;
    }
    const char c = data[at++];
    if (c != '\n') {
      if (c != '\r') connection->chunkLine.push_back(c);
      if (connection->chunkLine.size() <= 1024) continue;
      Fail(connection, "a chunk line without an end");
      return false;
    }
    if (connection->inTrailer) {
      if (connection->chunkLine.empty()) {
        Complete(connection);
        return false;
      }
    } else if (!connection->chunkLine.empty()) {
      connection->bodyLeft = strtoull(connection->chunkLine.c_str(), nullptr, 16);
      connection->inTrailer = connection->bodyLeft == 0;
    }
    connection->chunkLine.clear();
  }
  return true;
}

void Load::Complete(Connection* connection) {
  const Request& what = connection->request->what;
  const std::string status = std::to_string(connection->status);
  if (connection->status != static_cast<int>(what.expectedStatus)) {
    Fail(connection, "status " + status + " " + connection->errorText);
    return;
  }
  if (connection->bodySent < what.bodyBytes) {
    Fail(connection, "status " + status + " before the body was sent");
    return;
  }
  if (what.expectedBytes >= 0 && connection->bodyReceived != static_cast<uint64_t>(what.expectedBytes)) {
    Fail(connection, "a body of " + std::to_string(connection->bodyReceived) + " bytes");
    return;
  }
  if (connection->mismatches) {
    Fail(connection, "a body with other bytes than were stored");
    return;
  }
  endNanos_ = NowNanos();
  latency_.Add((endNanos_ - connection->startNanos) / 1000);
  completed_++;
  connection->isBusy = false;
  busy_--;
  if (connection->closesAfter) Disconnect(connection);
  Begin(connection);
}

void Load::Fail(Connection* connection, const std::string& text) {
  errors_++;
  if (firstError_.empty()) firstError_ = text;
  Disconnect(connection);
  connection->isBusy = false;
  busy_--;
  Begin(connection);
}

void Load::Cut(Connection* connection) {
  if (connection->isCut) return;
  connection->isCut = true;
  cut_++;
  endNanos_ = NowNanos();
}

void Load::HoldAndClose() {
  usleep(static_cast<useconds_t>(options_.holdMs) * 1000);
  for (const auto& connection : connections_) {
    if (connection->isBusy) busy_--;
    connection->isBusy = false;
    Disconnect(connection.get());
  }
}

int Load::Run() {
  const size_t count = options_.loops ? options_.connections : std::min(options_.connections, requests_.size());
  for (size_t i = 0; i < count; i++) {
    connections_.push_back(std::make_unique<Connection>());
    Connect(connections_.back().get());
  }
  const int64_t serverBefore = options_.pid == 0 ? -1 : CpuMicrosOf(options_.pid);
  const uint64_t cpuBefore = OwnCpuMicros();
  startNanos_ = NowNanos();
  endNanos_ = startNanos_;
  if (options_.seconds > 0) stopNanos_ = startNanos_ + static_cast<uint64_t>(options_.seconds * 1e9);
  for (const auto& connection : connections_) Begin(connection.get());
  std::vector<epoll_event> events(256);
  while (busy_ > 0) {
    if (options_.cutBytes != 0 && cut_ == busy_) {
      HoldAndClose();
      break;
    }
    const int ready = epoll_wait(epoll_, events.data(), static_cast<int>(events.size()), kStallSeconds * 1000);
    if (ready == 0) Die("no answer for " + std::to_string(kStallSeconds) + " s");
    for (int i = 0; i < ready; i++) {
      auto* connection = static_cast<Connection*>(events[static_cast<size_t>(i)].data.ptr);
      const uint32_t what = events[static_cast<size_t>(i)].events;
      if (connection->fd >= 0 && (what & ~static_cast<uint32_t>(EPOLLOUT)) != 0) Receive(connection);
      if (connection->fd >= 0 && connection->isBusy && connection->isBlocked && (what & EPOLLOUT) != 0)
        Send(connection);
    }
  }
  const int64_t serverAfter = options_.pid == 0 ? -1 : CpuMicrosOf(options_.pid);
  return Report(cpuBefore, serverBefore, serverAfter);
}

std::string Escaped(const std::string& text) {
  std::string out;
  for (const char c : text.substr(0, 600)) {
    if (c == '"' || c == '\\') out.push_back('\\');
    out.push_back(static_cast<unsigned char>(c) < 32 || static_cast<unsigned char>(c) > 126 ? ' ' : c);
  }
  return out;
}

int Load::Report(uint64_t cpuBefore, int64_t serverBefore, int64_t serverAfter) {
  const auto number = [](const char* name, uint64_t value) {
    printf("\"%s\":%llu,", name, static_cast<unsigned long long>(value));
  };
  printf("{");
  number("requests", completed_);
  number("errors", errors_);
  number("sentBytes", sentBytes_);
  number("receivedBytes", receivedBytes_);
  number("elapsedMicros", (endNanos_ - startNanos_) / 1000);
  number("clientCpuMicros", OwnCpuMicros() - cpuBefore);
  if (serverBefore >= 0 && serverAfter >= 0) {
    number("serverCpuMicros", static_cast<uint64_t>(serverAfter - serverBefore));
  } else {
    printf("\"serverCpuMicros\":null,");
  }
  printf("\"firstError\":\"%s\",", Escaped(firstError_).c_str());
  latency_.Print();
  printf("}\n");
  return completed_ > 0 || cut_ > 0 ? 0 : 1;
}

Options Parse(int count, char** values) {
  Options options;
  if (count < 2) Die("usage: load PLAN --port P …");
  options.plan = values[1];
  for (int i = 2; i < count; i++) {
    const std::string name = values[i];
    if (name == "--loop") {
      options.loops = true;
      continue;
    }
    if (i + 1 == count) Die("no value for " + name);
    const char* value = values[++i];
    if (name == "--host")
      options.host = value;
    else if (name == "--port")
      options.port = value;
    else if (name == "--connections")
      options.connections = strtoul(value, nullptr, 10);
    else if (name == "--seconds")
      options.seconds = strtod(value, nullptr);
    else if (name == "--verify")
      options.verify = strtoull(value, nullptr, 10);
    else if (name == "--pid")
      options.pid = strtol(value, nullptr, 10);
    else if (name == "--cut")
      options.cutBytes = strtoull(value, nullptr, 10);
    else if (name == "--hold")
      options.holdMs = strtol(value, nullptr, 10);
    else
      Die("unknown option " + name);
  }
  if (options.loops && options.seconds <= 0) Die("--loop needs --seconds");
  if (options.connections == 0) Die("--connections must be at least 1");
  return options;
}

}  // namespace

int main(int count, char** values) {
  Load load(Parse(count, values));
  return load.Run();
}
