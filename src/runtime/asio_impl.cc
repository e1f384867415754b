// The one translation unit that compiles Asio (BOOST_ASIO_SEPARATE_COMPILATION): 12 s once instead of 3 s in every file.
#include <boost/asio/impl/src.hpp>
#include <boost/asio/ssl/impl/src.hpp>
