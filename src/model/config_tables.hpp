// The tables of topic and group settings as Markdown: docs/topic-settings.md.
#pragma once
#include <string>

namespace yaks {
std::string configs_as_markdown();
}
