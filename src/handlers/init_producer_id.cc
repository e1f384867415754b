#include <spdlog/spdlog.h>

#include "base/printable.hpp"
#include "handlers/handlers.hpp"
#include "runtime/first_of.hpp"

namespace yaks::handlers {
awaitable<wire::init_producer_id_response> init_producer_id(services& s, const wire::init_producer_id_request& request,
                                                            const request_context& context) {
  wire::init_producer_id_response answer;
  answer.producer_epoch = -1;
  if (request.transactional_id) {
    answer.error_code = request.transactional_id->empty() ? wire::error_code::invalid_request : wire::error_code::unsupported_version;
    spdlog::warn("client {} asked for a transactional producer ({}): transactions are not supported", printable(context.client_id),
                 printable(*request.transactional_id));
    co_return answer;
  }
  // Without a transactional id every call gets a fresh producer, whatever it was before.
  std::optional<producer_id> id;
  auto ask = [&]() -> awaitable<void> { id = co_await s.ids.next(); };
  co_await first_of(ask(), s.rt.sleep_until(context.arrived + patience));
  if (id) {
    answer.producer_id = id->value();
    answer.producer_epoch = 0;
  } else {
    answer.error_code = wire::error_code::coordinator_not_available;
  }
  co_return answer;
}
}  // namespace yaks::handlers
