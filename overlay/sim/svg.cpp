#include "overlay/sim/svg.hpp"

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstdarg>
#include <cstdio>
#include <fstream>
#include <numbers>
#include <vector>

namespace ringway::overlay::sim {
namespace {

constexpr double kSize = 1000;      // of the picture, in its own units
constexpr double kRadius = 420;     // of the ring
constexpr double kNameTurn = 0.01;  // of the circle, that a node's number takes
constexpr double kMostNames = 48;   // nodes, beyond which their numbers would overlap

// What a link is for, the strongest of both ends' reasons first; drawn from the last to the first.
enum class LinkKind { kNear, kRelayed, kShortcut, kOnDemand, kLeaf, kIdle, kDead };
struct KindText {
  const char* css_class;
  const char* text;
};
constexpr KindText kKinds[] = {
    {"near", "near neighbours"},
    {"relayed", "through relays"},
    {"shortcut", "shortcuts"},
    {"demand", "on demand"},
    {"leaf", "leaves"},
    {"idle", "wanted no more"},
    {"dead", "to nodes that are gone"},
};

// One set of colours for light ground, which every viewer knows, and one for dark. The two hues of
// near links and shortcuts differ in brightness too, for those who tell few colours apart.
constexpr const char* kStyle = R"(<style>
text { font: 15px system-ui, sans-serif; }
.small { font-size: 12px; } .title { font-size: 24px; font-weight: 600; }
path { fill: none; stroke-linecap: round; }
.rim { fill: none; stroke-opacity: .35; } .gone { fill: none; stroke-opacity: .7; }
.leaf { stroke-dasharray: 5 4; } .idle { stroke-dasharray: 1 4; } .dead { stroke-dasharray: 2 4; }
.ground { fill: #ffffff; } .node { stroke: #ffffff; }
text, .node { fill: #1f2933; } .faint, .paused { fill: #9aa5b1; }
.rim, .idle { stroke: #9aa5b1; } .near { stroke: #0b6e99; } .shortcut { stroke: #e08a00; }
.demand { stroke: #7a3fb0; } .relayed { stroke: #c2185b; } .leaf { stroke: #2e9e5b; }
.dead, .gone, .misplaced { stroke: #d0342c; } .wrong, .hostile { fill: #d0342c; }
.misplaced { fill: #ffffff; }
@media (prefers-color-scheme: dark) {
  .ground { fill: #11161c; } .node { stroke: #11161c; }
  text, .node { fill: #e4e9ee; } .faint, .paused { fill: #5d6b7a; }
  .rim, .idle { stroke: #5d6b7a; } .near { stroke: #58c4f0; } .shortcut { stroke: #ffb547; }
  .demand { stroke: #c79bf2; } .relayed { stroke: #ff7eb6; } .leaf { stroke: #6fdc9c; }
  .dead, .gone, .misplaced { stroke: #ff7b72; } .wrong, .hostile { fill: #ff7b72; }
  .misplaced { fill: #11161c; } }
</style>
)";

struct Point {
  double x;
  double y;
};

// Where an ID stands: from the top, clockwise.
double turn_of(const NodeId& id) {
  return static_cast<double>(id.from_zero().high >> 11) / 9007199254740992.0;  // 2^53
}
Point on_circle(double turn, double radius) {
  const double angle = turn * 2 * std::numbers::pi;
  return {kSize / 2 + radius * std::sin(angle), kSize / 2 - radius * std::cos(angle)};
}

LinkKind kind_of(const Simulation& simulation, const Link& link) {
  if (!simulation.is_alive(simulation.other_end(link.id))) return LinkKind::kDead;
  if (link.relayed) return LinkKind::kRelayed;
  if (link.near()) return LinkKind::kNear;
  if (link.wants(wire::kWantsShortcut)) return LinkKind::kShortcut;
  if (link.wants(wire::kWantsOnDemand)) return LinkKind::kOnDemand;
  if (link.wants(wire::kWantsLeaf)) return LinkKind::kLeaf;
  return LinkKind::kIdle;
}

class Picture {
 public:
  explicit Picture(const Simulation& simulation) : simulation_(simulation) {
    const double nodes = static_cast<double>(std::max<std::size_t>(simulation.alive().size(), 1));
    // A node is as large as its place allows, and links are the fainter the more there are.
    dot_ = std::clamp(kRadius * 2.2 / nodes, 1.6, 11.0);
    width_ = std::clamp(40 / nodes + 0.35, 0.35, 2.6);
    opacity_ = std::clamp(26 / nodes + 0.10, 0.12, 0.9);
  }

  std::string draw() {
    text("<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %g %g\" role=\"img\">\n", kSize,
         kSize);
    out_ += kStyle;
    text("<rect class=\"ground\" width=\"100%%\" height=\"100%%\"/>\n");
    text("<circle class=\"rim\" cx=\"%g\" cy=\"%g\" r=\"%g\"/>\n", kSize / 2, kSize / 2, kRadius);
    collect_links();
    for (std::size_t kind = std::size(kKinds); kind-- > 0;)
      draw_links(static_cast<LinkKind>(kind));
    draw_nodes();
    draw_legend();
    out_ += "</svg>\n";
    return std::move(out_);
  }

 private:
  struct Drawn {
    NodeIndex from;
    NodeIndex to;
    LinkKind kind;
  };

  [[gnu::format(printf, 2, 3)]] void text(const char* format, ...) {
    char line[400];
    va_list values;
    va_start(values, format);
    std::vsnprintf(line, sizeof line, format, values);
    va_end(values);
    out_ += line;
  }

  void collect_links() {
    for (const NodeIndex node : simulation_.alive()) {
      for (const Link& link : simulation_.overlay(node).links()) {
        const NodeIndex other = simulation_.other_end(link.id);
        const LinkKind kind = kind_of(simulation_, link);
        if (kind == LinkKind::kDead) gone_.push_back(other);
        // Of a link with two ends that live, one tells.
        if (node < other || kind == LinkKind::kDead) links_.push_back({node, other, kind});
      }
    }
    std::sort(gone_.begin(), gone_.end());
    gone_.erase(std::unique(gone_.begin(), gone_.end()), gone_.end());
  }

  void draw_links(LinkKind kind) {
    const KindText& look = kKinds[static_cast<std::size_t>(kind)];
    const bool near = kind == LinkKind::kNear;
    // Shortcuts are the many; what is rare stays visible.
    const double opacity = kind == LinkKind::kShortcut ? opacity_ : std::max(opacity_, 0.65);
    text("<g class=\"%s\" stroke-width=\"%.2f\" stroke-opacity=\"%.2f\">\n", look.css_class,
         near ? width_ * 1.8 : width_, opacity);
    for (const Drawn& link : links_)
      if (link.kind == kind) draw_link(link);
    out_ += "</g>\n";
  }

  // Bent towards the middle, the more so the farther it goes; a near link bulges outwards, so that
  // it stands apart from the rim and from the nodes that it passes.
  void draw_link(const Drawn& link) {
    const double from = turn_of(simulation_.id(link.from));
    const double to = turn_of(simulation_.id(link.to));
    double across = std::abs(from - to);
    across = std::min(across, 1 - across);
    double middle = (from + to) / 2;
    if (std::abs(from - to) > 0.5) middle += 0.5;
    const bool beside = link.kind == LinkKind::kNear || link.kind == LinkKind::kRelayed;
    const bool outside = beside && across < 0.25;
    const double bend = outside ? kRadius * (1 + std::min(0.035 + across * 0.5, 0.16))
                                : kRadius * std::max(1 - across * 3.2, 0.0);
    const Point a = on_circle(from, kRadius);
    const Point b = on_circle(to, kRadius);
    const Point c = on_circle(middle, bend);
    text("<path d=\"M%.1f %.1fQ%.1f %.1f %.1f %.1f\"/>\n", a.x, a.y, c.x, c.y, b.x, b.y);
  }

  void draw_nodes() {
    for (const NodeIndex node : gone_) {
      const Point at = on_circle(turn_of(simulation_.id(node)), kRadius);
      text("<circle class=\"gone\" cx=\"%.1f\" cy=\"%.1f\" r=\"%.1f\"/>\n", at.x, at.y, dot_);
    }
    const std::vector<NodeIndex> misplaced = simulation_.misplaced();
    double last_turn = -1;
    bool staggered = false;
    for (const NodeIndex node : simulation_.alive()) {
      const double turn = turn_of(simulation_.id(node));
      const Point at = on_circle(turn, kRadius);
      const bool wrong = std::find(misplaced.begin(), misplaced.end(), node) != misplaced.end();
      const char* const look = simulation_.is_hostile(node)  ? "node hostile"
                               : simulation_.is_paused(node) ? "node paused"
                               : wrong                       ? "node misplaced"
                                                             : "node";
      text("<circle class=\"%s\" cx=\"%.1f\" cy=\"%.1f\" r=\"%.1f\" stroke-width=\"%.1f\">", look,
           at.x, at.y, dot_, std::max(dot_ / 4, 0.4));
      text("<title>node %u, %s: %zu links</title></circle>\n", node,
           simulation_.id(node).to_string().substr(0, 8).c_str(),
           simulation_.overlay(node).links().size());
      if (static_cast<double>(simulation_.alive().size()) > kMostNames) continue;
      // Beside the name of a node right before it there is no room.
      staggered = turn - last_turn < kNameTurn && !staggered;
      last_turn = turn;
      const Point name = on_circle(turn, kRadius + (staggered ? 60 : 40));
      text(
          "<text class=\"small\" x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\" "
          "dominant-baseline=\"middle\">%u</text>\n",
          name.x, name.y, node);
    }
  }

  void draw_legend() {
    text("<text class=\"title\" x=\"28\" y=\"42\">%zu nodes</text>\n", simulation_.alive().size());
    const std::size_t misplaced = simulation_.misplaced_nodes();
    if (misplaced == 0) {
      text("<text x=\"28\" y=\"66\">the ring is right</text>\n");
    } else {
      text("<text class=\"wrong\" x=\"28\" y=\"66\">%zu misplaced</text>\n", misplaced);
    }
    text("<text class=\"faint small\" x=\"28\" y=\"86\">after %.0f s</text>\n",
         static_cast<double>(simulation_.now().ns()) * 1e-9);
    double y = kSize - 24;
    for (std::size_t kind = std::size(kKinds); kind-- > 0;) {
      const auto count = std::count_if(links_.begin(), links_.end(), [&](const Drawn& link) {
        return link.kind == static_cast<LinkKind>(kind);
      });
      if (count == 0) continue;
      text(
          "<path class=\"%s\" stroke-width=\"3\" d=\"M28 %gh34\"/>"
          "<text class=\"small\" x=\"72\" y=\"%g\">%td %s</text>\n",
          kKinds[kind].css_class, y - 4, y, count, kKinds[kind].text);
      y -= 21;
    }
  }

  const Simulation& simulation_;
  double dot_ = 0;
  double width_ = 0;
  double opacity_ = 0;
  std::vector<Drawn> links_;
  std::vector<NodeIndex> gone_;
  std::string out_;
};

}  // namespace

std::string ring_svg(const Simulation& simulation) {
  return Picture(simulation).draw();
}

Result<void> save_svg(const std::string& path, const Simulation& simulation) {
  std::ofstream file(path);
  file << ring_svg(simulation);
  file.close();
  if (!file) return system_failure("writing " + path, errno);
  return {};
}

}  // namespace ringway::overlay::sim
