// Asio's own functions, compiled once instead of in every source that uses it
// (BOOST_ASIO_SEPARATE_COMPILATION in CMakeLists.txt).
#include <boost/asio/impl/src.hpp>
