#include "controlplane/host/nftables.hpp"

#include <memory>

#include <nftables/libnftables.h>
#include <nlohmann/json.hpp>

namespace ringway::control::nftables {
namespace {

struct FreeContext {
  void operator()(nft_ctx* context) const { nft_ctx_free(context); }
};
using Context = std::unique_ptr<nft_ctx, FreeContext>;

// Opened for each call: it belongs to the network namespace of the calling thread.
Result<Context> open_context() {
  Context context(nft_ctx_new(NFT_CTX_DEFAULT));
  if (!context) return failure("nftables could not be opened");
  nft_ctx_buffer_error(context.get());
  nft_ctx_buffer_output(context.get());
  return context;
}

// libnftables answers with several lines: position and reason first, then the text underlined.
std::string first_line(const char* text) {
  const std::string all = text == nullptr ? "" : text;
  const std::size_t reason = all.find("Error: ");
  const std::size_t begin = reason == std::string::npos ? 0 : reason + 7;
  return all.substr(begin, all.find('\n', begin) - begin);
}

tl::unexpected<Error> nft_failure(nft_ctx* context, std::string_view what) {
  const std::string reason = first_line(nft_ctx_get_error_buffer(context));
  std::string remedy;
  if (reason.find("not permitted") != std::string::npos) {
    remedy = "run it as root, or give it the capability CAP_NET_ADMIN";
  } else if (reason.find("not supported") != std::string::npos ||
             reason.find("No such file") != std::string::npos) {
    remedy = "the kernel needs nf_tables with NAT and fib support";
  }
  return failure(std::string(what) + ": " + (reason.empty() ? "refused" : reason),
                 std::move(remedy));
}

Result<void> run(const std::string& text, const std::string& what, bool dry_run) {
  auto context = open_context();
  if (!context) return tl::unexpected(context.error());
  nft_ctx_set_dry_run(context->get(), dry_run);
  if (nft_run_cmd_from_buffer(context->get(), text.c_str()) != 0) {
    return nft_failure(context->get(), what);
  }
  return {};
}

Result<std::string> list_chains() {
  auto context = open_context();
  if (!context) return tl::unexpected(context.error());
  nft_ctx_output_set_flags(context->get(), NFT_CTX_OUTPUT_JSON);
  if (nft_run_cmd_from_buffer(context->get(), "list chains") != 0) {
    return nft_failure(context->get(), "listing the nftables chains");
  }
  const char* output = nft_ctx_get_output_buffer(context->get());
  return std::string(output == nullptr ? "" : output);
}

}  // namespace

Result<void> apply(const std::string& text, std::string_view purpose) {
  return run(text, "setting " + std::string(purpose), false);
}

Result<void> check(const std::string& text, std::string_view purpose) {
  return run(text, "checking " + std::string(purpose), true);
}

Result<bool> table_exists(const std::string& table) {
  auto context = open_context();
  if (!context) return tl::unexpected(context.error());
  if (nft_run_cmd_from_buffer(context->get(), "list tables") != 0) {
    return nft_failure(context->get(), "listing the nftables tables");
  }
  const char* output = nft_ctx_get_output_buffer(context->get());
  const std::string tables = output == nullptr ? "" : output;
  return tables.find("table " + table + "\n") != std::string::npos;
}

Result<void> remove_table(const std::string& table) {
  // Adding first makes the removal succeed whether or not it was there, in one transaction.
  return run("add table " + table + "\ndelete table " + table + "\n", "removing the table " + table,
             false);
}

Result<std::vector<std::string>> dropping_chains(std::string_view hook,
                                                 std::string_view own_table) {
  const auto listed = list_chains();
  if (!listed) return tl::unexpected(listed.error());
  const auto document = nlohmann::json::parse(*listed, nullptr, false);
  std::vector<std::string> found;
  if (!document.is_object() || !document.contains("nftables")) return found;
  for (const auto& element : document["nftables"]) {
    if (!element.contains("chain")) continue;
    const auto& chain = element["chain"];
    const auto text = [&](const char* key) { return chain.value(key, std::string()); };
    if (text("hook") != hook || text("policy") != "drop" ||
        text("family") + " " + text("table") == own_table) {
      continue;
    }
    if (text("family") == "bridge" || text("family") == "arp") continue;
    found.push_back(text("family") + " " + text("table") + " " + text("name"));
  }
  return found;
}

}  // namespace ringway::control::nftables
