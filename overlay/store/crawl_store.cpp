#include "overlay/store/crawl_store.hpp"

#include <string_view>
#include <utility>

#include <sqlite3.h>

namespace ringway::overlay::store {
namespace {

constexpr int kBusyTimeoutMs = 5000;  // another program writes

constexpr const char* kTables =
    "CREATE TABLE IF NOT EXISTS crawls ("
    "  id INTEGER PRIMARY KEY, at INTEGER NOT NULL, took_s REAL NOT NULL,"
    "  nodes INTEGER NOT NULL, silent INTEGER NOT NULL, inconsistencies INTEGER NOT NULL,"
    "  repeated INTEGER NOT NULL, links_mean REAL NOT NULL, hops_mean REAL NOT NULL);"
    "CREATE TABLE IF NOT EXISTS nodes ("
    "  crawl INTEGER NOT NULL REFERENCES crawls(id), node TEXT NOT NULL,"
    "  answered INTEGER NOT NULL, links INTEGER, hops INTEGER, tries INTEGER,"
    "  PRIMARY KEY (crawl, node)) WITHOUT ROWID;"
    "CREATE TABLE IF NOT EXISTS inconsistencies ("
    "  crawl INTEGER NOT NULL REFERENCES crawls(id), node TEXT NOT NULL, side TEXT NOT NULL,"
    "  position INTEGER NOT NULL, kind TEXT NOT NULL, named TEXT, found TEXT NOT NULL,"
    "  PRIMARY KEY (crawl, node, side, position)) WITHOUT ROWID;";

// `came` and `went` compare with the crawl before.
constexpr const char* kSummaries =
    "WITH ordered AS (SELECT *, LAG(id) OVER (ORDER BY at, id) AS before FROM crawls)"
    " SELECT id, at, took_s, nodes, silent, inconsistencies, repeated, links_mean, hops_mean,"
    "  (SELECT COUNT(*) FROM nodes n WHERE before IS NOT NULL AND n.crawl = o.id AND n.answered"
    "    AND NOT EXISTS (SELECT 1 FROM nodes b"
    "      WHERE b.crawl = before AND b.node = n.node AND b.answered)),"
    "  (SELECT COUNT(*) FROM nodes b WHERE b.crawl = before AND b.answered"
    "    AND NOT EXISTS (SELECT 1 FROM nodes n"
    "      WHERE n.crawl = o.id AND n.node = b.node AND n.answered))"
    " FROM ordered o ORDER BY at, id;";

std::string_view name_of(Inconsistency::Kind kind) {
  switch (kind) {
    case Inconsistency::Kind::kMissing:
      return "missing";
    case Inconsistency::Kind::kSilent:
      return "silent";
    case Inconsistency::Kind::kOther:
      break;
  }
  return "other";
}

// One statement: values are bound in their order, then it runs.
class Statement {
 public:
  Statement(sqlite3* database, const char* sql) {
    sqlite3_prepare_v2(database, sql, -1, &statement_, nullptr);
  }
  ~Statement() { sqlite3_finalize(statement_); }
  Statement(const Statement&) = delete;
  Statement& operator=(const Statement&) = delete;

  // False: see sqlite3_errmsg(). Binding to a statement that was not prepared does nothing.
  template <typename... Values>
  [[nodiscard]] bool run(const Values&... values) {
    int at = 0;
    (bind(++at, values), ...);
    const bool done = sqlite3_step(statement_) == SQLITE_DONE;
    sqlite3_reset(statement_);
    sqlite3_clear_bindings(statement_);
    return done;
  }
  [[nodiscard]] int step() { return sqlite3_step(statement_); }
  [[nodiscard]] std::int64_t integer(int column) {
    return sqlite3_column_int64(statement_, column);
  }
  [[nodiscard]] double real(int column) { return sqlite3_column_double(statement_, column); }

 private:
  void bind(int at, std::int64_t value) { sqlite3_bind_int64(statement_, at, value); }
  void bind(int at, double value) { sqlite3_bind_double(statement_, at, value); }
  void bind(int at, std::string_view text) {
    sqlite3_bind_text(statement_, at, text.data(), static_cast<int>(text.size()), SQLITE_TRANSIENT);
  }
  void bind(int at, std::nullptr_t) { sqlite3_bind_null(statement_, at); }

  sqlite3_stmt* statement_ = nullptr;
};

double mean(double sum, std::size_t count) {
  return count == 0 ? 0 : sum / static_cast<double>(count);
}

}  // namespace

void CrawlStore::Closer::operator()(sqlite3* database) const {
  sqlite3_close(database);
}

Result<CrawlStore> CrawlStore::open(const std::string& path) {
  sqlite3* opened = nullptr;
  const int status = sqlite3_open(path.c_str(), &opened);
  Database database(opened);
  if (status != SQLITE_OK)
    return failure("opening " + path + ": " + sqlite3_errstr(status),
                   "name a file in a folder that you may write to");
  sqlite3_busy_timeout(opened, kBusyTimeoutMs);
  CrawlStore store(std::move(database), path);
  if (auto made = store.execute(kTables); !made) return tl::unexpected(made.error());
  return store;
}

Result<void> CrawlStore::execute(const char* sql) {
  if (sqlite3_exec(database_.get(), sql, nullptr, nullptr, nullptr) == SQLITE_OK) return {};
  return failure(path_ + ": " + sqlite3_errmsg(database_.get()));
}

Result<void> CrawlStore::add(WallTime at, const CrawlResult& crawl) {
  if (auto begun = execute("BEGIN IMMEDIATE"); !begun) return begun;
  auto added = add_rows(at, crawl);
  if (added) added = execute("COMMIT");
  if (!added) static_cast<void>(execute("ROLLBACK"));
  return added;
}

Result<void> CrawlStore::add_rows(WallTime at, const CrawlResult& crawl) {
  double links = 0;
  double hops = 0;
  for (const CrawledNode& node : crawl.nodes) {
    links += node.said.links;
    hops += node.hops;
  }
  sqlite3* const db = database_.get();
  const std::size_t others = crawl.nodes.empty() ? 0 : crawl.nodes.size() - 1;
  Statement add_crawl(db,
                      "INSERT INTO crawls (at, took_s, nodes, silent, inconsistencies, repeated,"
                      " links_mean, hops_mean) VALUES (?, ?, ?, ?, ?, ?, ?, ?)");
  bool ok = add_crawl.run(
      at.unix_seconds(), crawl.took.count_s(), static_cast<std::int64_t>(crawl.nodes.size()),
      static_cast<std::int64_t>(crawl.silent.size()),
      static_cast<std::int64_t>(crawl.inconsistencies.size()), std::int64_t{crawl.repeated},
      mean(links, crawl.nodes.size()), mean(hops, others));
  const std::int64_t id = sqlite3_last_insert_rowid(db);
  Statement add_node(db, "INSERT INTO nodes VALUES (?, ?, ?, ?, ?, ?)");
  for (const CrawledNode& node : crawl.nodes) {
    ok = ok &&
         add_node.run(id, node.node.to_string(), std::int64_t{1}, std::int64_t{node.said.links},
                      std::int64_t{node.hops}, std::int64_t{node.tries});
  }
  for (const NodeId& node : crawl.silent)
    ok = ok && add_node.run(id, node.to_string(), std::int64_t{0}, nullptr, nullptr, nullptr);
  Statement add_finding(db, "INSERT INTO inconsistencies VALUES (?, ?, ?, ?, ?, ?, ?)");
  for (const Inconsistency& each : crawl.inconsistencies) {
    const std::string_view side = each.right ? "right" : "left";
    const std::int64_t position = each.position;
    const std::string node = each.node.to_string();
    const std::string found = each.found.to_string();
    ok = ok && (each.kind == Inconsistency::Kind::kMissing
                    ? add_finding.run(id, node, side, position, name_of(each.kind), nullptr, found)
                    : add_finding.run(id, node, side, position, name_of(each.kind),
                                      each.named.to_string(), found));
  }
  if (ok) return {};
  return failure("writing " + path_ + ": " + sqlite3_errmsg(db));
}

Result<std::vector<CrawlSummary>> CrawlStore::summaries() {
  std::vector<CrawlSummary> result;
  Statement select(database_.get(), kSummaries);
  int status = select.step();
  for (; status == SQLITE_ROW; status = select.step()) {
    result.push_back({select.integer(0), select.integer(1), select.real(2), select.integer(3),
                      select.integer(4), select.integer(5), select.integer(6), select.real(7),
                      select.real(8), select.integer(9), select.integer(10)});
  }
  if (status == SQLITE_DONE) return result;
  return failure("reading " + path_ + ": " + sqlite3_errmsg(database_.get()));
}

}  // namespace ringway::overlay::store
