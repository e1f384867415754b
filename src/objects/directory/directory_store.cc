#include "objects/directory/directory_store.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <limits.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <mutex>
#include <set>
#include <system_error>

#include "base/check.hpp"
#include "objects/throttled_log.hpp"
#include "records/crc32c.hpp"

namespace yaks {
namespace fs = std::filesystem;
namespace {
constexpr std::string_view uploads = ".uploads";  // no key of ours begins with it: see list()

class file {
 public:
  file(const fs::path& path, int flags) : descriptor_(::open(path.c_str(), flags | O_CLOEXEC, 0644)) {
    if (descriptor_ < 0) throw fs::filesystem_error("open", path, std::error_code(errno, std::generic_category()));
  }
  ~file() { ::close(descriptor_); }
  file(const file&) = delete;
  file& operator=(const file&) = delete;
  int descriptor() const { return descriptor_; }

 private:
  int descriptor_;
};

[[noreturn]] void fail(const char* what, const fs::path& path) {
  throw fs::filesystem_error(what, path, std::error_code(errno, std::generic_category()));
}

void sync(const file& of, const fs::path& path) {
  if (::fsync(of.descriptor()) != 0) fail("fsync", path);
}
void sync_folder(const fs::path& path) {
  sync(file(path, O_RDONLY | O_DIRECTORY), path);
}

void write_all(const file& to, const std::vector<shared_bytes>& body, const fs::path& path) {
  std::vector<iovec> vectors;
  for (const shared_bytes& segment : body)
    if (!segment.empty()) vectors.push_back({const_cast<std::byte*>(segment.data()), segment.size()});
  for (std::size_t at = 0; at < vectors.size();) {
    ssize_t count = ::writev(to.descriptor(), &vectors[at], int(std::min<std::size_t>(IOV_MAX, vectors.size() - at)));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) fail("write", path);
    auto written = std::size_t(count);
    while (at < vectors.size() && written >= vectors[at].iov_len) written -= vectors[at++].iov_len;
    if (written > 0) {
      vectors[at].iov_base = static_cast<char*>(vectors[at].iov_base) + written;
      vectors[at].iov_len -= written;
    }
  }
}

// The error for the caller and, where an operator can do something about it, a sentence.
struct file_failure {
  object_error error;
  std::string sentence;
};
file_failure explain(const fs::filesystem_error& error, const fs::path& root) {
  std::errc code{error.code().value()};
  if (code == std::errc::no_such_file_or_directory) return {object_error::not_found, ""};
  if (code == std::errc::no_space_on_device || code == std::error_condition(EDQUOT, std::generic_category()))
    return {object_error::unavailable,
            fmt::format("The disk that holds {} is full ({}): records cannot be stored until there is space.",
                        root.string(), error.code().message())};
  if (code == std::errc::permission_denied || code == std::errc::read_only_file_system ||
      code == std::errc::operation_not_permitted)
    return {object_error::denied,
            fmt::format("{} cannot be used: {}. Give the process access to it, or set YAKS_DATA_DIR to another folder.",
                        error.path1().string(), error.code().message())};
  if (code == std::errc::is_a_directory || code == std::errc::not_a_directory ||
      code == std::errc::directory_not_empty || code == std::errc::file_exists)
    return {object_error::denied,
            fmt::format("{} is in the way of an object: {}.", error.path1().string(), error.code().message())};
  return {object_error::unavailable, fmt::format("The object store's files cannot be used: {}.", error.what())};
}
}  // namespace

// Everything here may run on several threads of the pool at once; its callers wait for it, so it may refer to their
// frames.
class directory_store::files {
 public:
  files(runtime& rt, fs::path root) : root_(std::move(root)), log(rt) {
    std::vector<fs::path> made{fs::absolute(root_)};  // and synced, but perhaps not by the earlier life that made it
    while (!fs::exists(made.back())) made.push_back(made.back().parent_path());
    fs::create_directories(root_);
    fs::remove_all(root_ / uploads);
    fs::create_directory(root_ / uploads);
    if (::access(root_.c_str(), W_OK | X_OK) != 0) fail("open", root_);
    for (const fs::path& folder : made) {
      try {
        sync_folder(folder.parent_path());
      } catch (const fs::filesystem_error&) {  // a folder that others own and that we may not read: not made by us
      }
    }
    sync_folder(root_);
  }

  void put(const std::string& key, const std::vector<shared_bytes>& body) {
    fs::path target = root_ / key, temporary = root_ / uploads / std::to_string(++uploads_made_);
    try {
      make_folder(target.parent_path());
      {
        file out(temporary, O_WRONLY | O_CREAT | O_TRUNC);
        write_all(out, body, temporary);
        sync(out, temporary);
      }
      if (::rename(temporary.c_str(), target.c_str()) != 0) fail("rename", target);
      sync_folder(target.parent_path());
    } catch (const fs::filesystem_error& error) {
      ::unlink(temporary.c_str());  // it may fill the disk
      // A folder that vanished under us: it is made anew, and synced, at the next attempt.
      if (error.code() == std::errc::no_such_file_or_directory) {
        std::lock_guard lock(mutex_);
        durable_folders_.clear();
        std::error_code ignored;
        fs::create_directories(root_ / uploads, ignored);
        throw fs::filesystem_error("write", error.path1(), std::make_error_code(std::errc::io_error));
      }
      throw;
    }
  }

  // Null where the file is shorter than that.
  std::shared_ptr<chunk> get(const std::string& key, std::uint64_t position, std::uint64_t bytes) {
    fs::path path = root_ / key;
    if (!fs::is_regular_file(path)) return nullptr;
    file in(path, O_RDONLY);
    off_t size = ::lseek(in.descriptor(), 0, SEEK_END);
    if (size < 0) fail("seek", path);
    if (position > std::uint64_t(size) || bytes > std::uint64_t(size) - position) return nullptr;
    auto memory = chunk::make(bytes);
    for (std::uint64_t done = 0; done < bytes;) {
      ssize_t count = ::pread(in.descriptor(), memory->data() + done, bytes - done, off_t(position + done));
      if (count < 0 && errno == EINTR) continue;
      if (count < 0) fail("read", path);
      if (count == 0) return nullptr;
      done += std::uint64_t(count);
    }
    return memory;
  }

  std::vector<object_info> list(const std::string& prefix) {
    std::vector<object_info> found;
    for (auto at = fs::recursive_directory_iterator(root_); at != fs::recursive_directory_iterator(); ++at) {
      std::string key = at->path().lexically_relative(root_).string();
      if (at->is_directory()) {
        bool on_the_way = prefix.starts_with(key + '/') || (key + '/').starts_with(prefix);
        if (key == uploads || !on_the_way) at.disable_recursion_pending();
      } else if (key.starts_with(prefix)) {
        std::error_code gone;
        if (std::uint64_t bytes = at->file_size(gone); !gone) found.push_back({std::move(key), bytes});
      }
    }
    return found;
  }

  // Not synced: an object that comes back with a power cut is one that nobody refers to, and is found and removed
  // again.
  void remove(const std::vector<std::string>& keys) {
    for (const std::string& key : keys) {
      fs::path path = root_ / key;
      if (::unlink(path.c_str()) != 0 && errno != ENOENT && errno != ENOTDIR && errno != EISDIR) fail("remove", path);
    }
  }

  const fs::path root_;
  throttled_log log;  // on the executor only

 private:
  // A folder that is there need not be on the disk yet: another thread, or an earlier life, may have made it and not
  // synced its parent. Hence the list of those that are known to be.
  void make_folder(const fs::path& folder) {
    std::lock_guard lock(mutex_);
    make_folder_locked(folder);
  }
  void make_folder_locked(const fs::path& folder) {
    if (folder == root_ || durable_folders_.contains(folder.string())) return;
    make_folder_locked(folder.parent_path());
    if (::mkdir(folder.c_str(), 0755) != 0 && errno != EEXIST) fail("mkdir", folder);
    sync_folder(folder.parent_path());
    durable_folders_.insert(folder.string());
  }

  std::atomic<std::uint64_t> uploads_made_ = 0;
  std::mutex mutex_;
  std::set<std::string> durable_folders_;  // bounded by the folders that keys name: 256
};

namespace {
// Runs `work` on the pool; a failure of the file system becomes an object_error, logged where it has a sentence.
template <class Work>
awaitable<result<void, object_error>> run_on_pool(runtime& rt, const fs::path& root, throttled_log& log, Work& work) {
  result<void, object_error> answer;
  std::string sentence;
  co_await rt.run_blocking([&] {
    try {
      work();
    } catch (const fs::filesystem_error& error) {
      file_failure failed = explain(error, root);
      answer = failure(failed.error);
      sentence = std::move(failed.sentence);
    }
  });
  if (!sentence.empty()) log.warn(sentence);
  co_return answer;
}
}  // namespace

directory_store::directory_store(runtime& rt, std::string root) : rt_(rt) {
  try {
    files_ = std::make_unique<files>(rt, fs::path(root + "/.").lexically_normal().parent_path());
  } catch (const fs::filesystem_error& error) {
    throw object_store_error(fmt::format(
        "The folder {} cannot be used for objects: {}. Make it writable, or set YAKS_DATA_DIR to another one.",
        error.path1().string(), error.code().message()));
  }
}
directory_store::~directory_store() = default;

awaitable<result<void, object_error>> directory_store::put(std::string key, std::vector<shared_bytes> body,
                                                           std::uint32_t crc32c, time_point deadline) {
  YAKS_CHECK(is_object_key(key) && !key.starts_with(uploads), "keys are well formed");
  if (rt_.now() >= deadline) co_return failure(object_error::unavailable);
  bool matches = true;
  auto work = [&] {
    std::uint32_t sum = 0;
    for (const shared_bytes& segment : body) sum = records::crc32c(segment.view(), sum);
    if (matches = sum == crc32c; matches) files_->put(key, body);
  };
  auto answer = co_await run_on_pool(rt_, files_->root_, files_->log, work);
  if (!matches) co_return failure(object_error::corrupt);
  co_return answer;
}

awaitable<result<shared_bytes, object_error>> directory_store::get(std::string key, std::uint64_t position,
                                                                   std::uint64_t bytes, time_point deadline) {
  YAKS_CHECK(is_object_key(key), "keys are well formed");
  if (rt_.now() >= deadline) co_return failure(object_error::unavailable);
  std::shared_ptr<chunk> memory;
  auto work = [&] { memory = files_->get(key, position, bytes); };
  auto answer = co_await run_on_pool(rt_, files_->root_, files_->log, work);
  if (!answer) co_return failure(answer.error());
  if (!memory) co_return failure(object_error::not_found);
  byte_view view{memory->data(), memory->size()};
  co_return shared_bytes(std::move(memory), view);
}

awaitable<result<std::vector<object_info>, object_error>> directory_store::list(std::string prefix,
                                                                                time_point deadline) {
  if (rt_.now() >= deadline) co_return failure(object_error::unavailable);
  std::vector<object_info> found;
  auto work = [&] { found = files_->list(prefix); };
  auto answer = co_await run_on_pool(rt_, files_->root_, files_->log, work);
  if (!answer) co_return failure(answer.error());
  co_return found;
}

awaitable<result<void, object_error>> directory_store::remove(std::vector<std::string> keys, time_point deadline) {
  YAKS_CHECK(keys.size() <= 1000, "at most 1,000 keys are removed at a time");
  if (rt_.now() >= deadline) co_return failure(object_error::unavailable);
  auto work = [&] { files_->remove(keys); };
  co_return co_await run_on_pool(rt_, files_->root_, files_->log, work);
}
}  // namespace yaks
