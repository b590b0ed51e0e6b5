// Crawls over time, in an SQLite file: counts of each, every node's answer, and who disagreed with
// whom. Other programs may read the file while a crawl is added.
//
//   crawls          id, at (seconds since 1970), took_s, nodes, silent, inconsistencies, repeated,
//                   links_mean, hops_mean
//   nodes           crawl, node, answered, links, hops, tries
//   inconsistencies crawl, node, side, position, kind, named, found
//
// Node IDs are texts of 32 characters. Control thread of the node; the simulator.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "base/time.hpp"
#include "overlay/crawl/crawl_result.hpp"

struct sqlite3;

namespace ringway::overlay::store {

struct CrawlSummary {
  std::int64_t id = 0;
  std::int64_t at_s = 0;  // since 1970
  double took_s = 0;
  std::int64_t nodes = 0;  // that answered
  std::int64_t silent = 0;
  std::int64_t inconsistencies = 0;
  std::int64_t repeated = 0;  // requests: lost, or their replies
  double links_mean = 0;
  double hops_mean = 0;
  std::int64_t came = 0;  // nodes that the crawl before did not find
  std::int64_t went = 0;  // nodes that only the crawl before found
};

class CrawlStore {
 public:
  // Makes the file and its tables where they are missing.
  [[nodiscard]] static Result<CrawlStore> open(const std::string& path);

  // All of a crawl or nothing of it.
  [[nodiscard]] Result<void> add(WallTime at, const CrawlResult& crawl);
  // In the order of time.
  [[nodiscard]] Result<std::vector<CrawlSummary>> summaries();

 private:
  struct Closer {
    void operator()(sqlite3* database) const;
  };
  using Database = std::unique_ptr<sqlite3, Closer>;
  CrawlStore(Database database, std::string path)
      : database_(std::move(database)), path_(std::move(path)) {}

  [[nodiscard]] Result<void> execute(const char* sql);
  [[nodiscard]] Result<void> add_rows(WallTime at, const CrawlResult& crawl);

  Database database_;
  std::string path_;
};

}  // namespace ringway::overlay::store
