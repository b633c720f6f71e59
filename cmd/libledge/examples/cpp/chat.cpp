// Answers a question; another thread ends the answer when it takes too long.
//   chat MODEL QUESTION [SECONDS]
#include <ledge.h>

#include <chrono>
#include <cmath>
#include <condition_variable>
#include <iostream>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>

namespace {

// Results become exceptions, handles close themselves.
struct Error : ledge_error {
    Error() : ledge_error LEDGE_ERROR_INIT {}
};

template <typename Call> void check(Call call) {
    Error error;
    if (call(&error) != LEDGE_OK)
        throw std::runtime_error(error.message);
}

struct Close {
    void operator()(ledge_model *m) const { ledge_model_close(m, nullptr); }
    void operator()(ledge_session *s) const { ledge_session_close(s, nullptr); }
    void operator()(ledge_canceller *c) const { ledge_canceller_close(c, nullptr); }
};
template <typename T> using Handle = std::unique_ptr<T, Close>;

template <typename T, typename Make> Handle<T> make(Make make) {
    T *made = nullptr;
    check([&](ledge_error *e) { return make(&made, e); });
    return Handle<T>(made);
}

// A canceller that is used unless this is destroyed in time.
class Deadline {
public:
    explicit Deadline(double seconds)
        : canceller_(make<ledge_canceller>(ledge_canceller_new)), thread_([this, seconds] {
              std::unique_lock<std::mutex> lock(mutex_);
              if (!over_.wait_for(lock, std::chrono::duration<double>(seconds), [this] { return finished_; }))
                  ledge_canceller_cancel(canceller_.get(), nullptr);
          }) {
        if (seconds <= 0) ledge_canceller_cancel(canceller_.get(), nullptr); // it has passed, however late the thread begins
    }
    ~Deadline() {
        {
            std::lock_guard<std::mutex> lock(mutex_);
            finished_ = true;
        }
        over_.notify_one();
        thread_.join();
    }
    ledge_canceller *get() const { return canceller_.get(); }

private:
    Handle<ledge_canceller> canceller_;
    std::mutex mutex_;
    std::condition_variable over_;
    bool finished_ = false;
    std::thread thread_;
};

std::string quoted(const std::string &text) { // as a JSON string
    static const char hex[] = "0123456789abcdef";
    std::string out = "\"";
    for (unsigned char c : text) {
        if (c < 0x20)
            out += std::string("\\u00") + hex[c >> 4] + hex[c & 15];
        else
            (c == '"' || c == '\\' ? out += '\\' : out) += static_cast<char>(c);
    }
    return out + '"';
}

double seconds(const std::string &text) {
    std::size_t end = 0;
    try {
        const double value = std::stod(text, &end);
        if (end == text.size() && std::isfinite(value)) return value;
    } catch (const std::logic_error &) { // no number, or none that fits
    }
    throw std::invalid_argument("SECONDS is \"" + text + "\", and must be a number such as 2.5");
}

int show(const ledge_token *token, void *) {
    std::cout.write(token->text, static_cast<std::streamsize>(token->length)).flush();
    return std::cout.good() ? 0 : 1;
}

} // namespace

int main(int argc, char **argv) try {
    if (argc < 3)
        throw std::invalid_argument("usage: chat MODEL QUESTION [SECONDS]");
    const double limit = argc > 3 ? seconds(argv[3]) : 600; // before anything is loaded
    auto model = make<ledge_model>([&](ledge_model **m, ledge_error *e) { return ledge_open(argv[1], nullptr, m, e); });
    auto session = make<ledge_session>([&](ledge_session **s, ledge_error *e) { return ledge_session_new(model.get(), s, e); });
    Deadline deadline(limit);

    ledge_generate_options options;
    ledge_generate_options_init(&options, sizeof options);
    options.temperature = 0;
    options.max_tokens = 32;
    options.canceller = deadline.get();
    const std::string messages = "[{\"role\": \"user\", \"content\": " + quoted(argv[2]) + "}]";
    check([&](ledge_error *e) {
        return ledge_chat(session.get(), messages.data(), messages.size(), &options, show, nullptr, e);
    });
    std::cout << std::endl;
} catch (const std::exception &e) {
    std::cerr << "chat: " << e.what() << '\n';
    return 1;
}
