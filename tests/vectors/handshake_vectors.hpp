// Made by record_handshake.py, which says how: handshakes that Ringway's code had no part in.
// wireguard-go v0.0.20220316 made what it sends, and accepted what it received. All in hexadecimal;
// private keys of these tests only.
#pragma once

#include <cstdint>

namespace ringway::test_vectors {

// wireguard-go is the initiator; the response was answered with `first_data`, a keepalive.
struct RecordedInitiation {
  const char* initiator_private;
  const char* responder_private;
  const char* psk;
  const char* responder_ephemeral_private;
  std::uint32_t responder_index;
  const char* timestamp;
  const char* initiation;
  const char* response;
  const char* first_data;
};

// wireguard-go is the responder; `first_data` holds its echo reply. `cookie_reply` answers the
// initiation sent again, under load.
struct RecordedResponse {
  const char* initiator_private;
  const char* responder_private;
  const char* psk;
  const char* initiator_ephemeral_private;
  std::uint32_t initiator_index;
  const char* timestamp;
  const char* initiation;
  const char* response;
  const char* first_data;
  const char* cookie_reply;
};

// Computed from fixed keys by the implementation in record_handshake.py.
struct ComputedHandshake {
  const char* initiator_private;
  const char* responder_private;
  const char* psk;
  const char* initiator_ephemeral_private;
  const char* responder_ephemeral_private;
  std::uint32_t initiator_index;
  std::uint32_t responder_index;
  const char* timestamp;
  const char* initiation;
  const char* response;
  const char* initiator_sends_with;
  const char* responder_sends_with;
  const char* handshake_hash;
};

inline constexpr RecordedInitiation kWireguardGoInitiates{
    .initiator_private = "483ac9dccb949b68b5403dc4e275aa970eb9d806dcbef2ffe4e48871d4ceecee",
    .responder_private = "3b89c555c37e6ed93a5a7a6226b02a3a276fa974d6a963b0ccd654b04365d89a",
    .psk = "a39896c38493c8c642fa09e267c37e63a751248c537c0f8e2c9fcf13f7ac7c6d",
    .responder_ephemeral_private =
        "4f59b20a2e70ef843c89814a5b15c851882fccafd2ffbde0f825b60d0f90f5ae",
    .responder_index = 0x55667788,
    .timestamp = "400000006b003fa310000000",
    .initiation =
        "01000000ba06c5967bf996a0fcf739a46b44d3858d277a3157267d7e2351c1b6199b59147d0c910152e7456a"
        "4bc4751d3697cd214e6157e7d27b6d4d23246440b358769f2ad5579296fc6420953ca6ce5c96ecb70c9a73ce"
        "2d8ed58862a57fb35c1fc6bec714df521bb21f2651cb0ba477a13445ef66303516585edb022f025b047813f0"
        "00000000000000000000000000000000",
    .response =
        "0200000088776655ba06c59683b5a6ba9c40fbdba070e69b84ff3d88191fba6b8c604849de918e5a5743ef3c"
        "3ac61d8f8cee7ecf9008f75a33f086a7e08e7e1693ceff6b8a251c7a1b676f88000000000000000000000000"
        "00000000",
    .first_data = "04000000887766550000000000000000078f3cb5fb18ba2ee786443593ee6042",
};

inline constexpr RecordedResponse kWireguardGoResponds{
    .initiator_private = "483ac9dccb949b68b5403dc4e275aa970eb9d806dcbef2ffe4e48871d4ceecee",
    .responder_private = "3b89c555c37e6ed93a5a7a6226b02a3a276fa974d6a963b0ccd654b04365d89a",
    .psk = "a39896c38493c8c642fa09e267c37e63a751248c537c0f8e2c9fcf13f7ac7c6d",
    .initiator_ephemeral_private =
        "620be318ccfe9b1685ba2954a24c1b57f2cec0e57e5e2e0ae7c831e91d14309f",
    .initiator_index = 0x11223344,
    .timestamp = "400000006b003fa317000000",
    .initiation =
        "0100000044332211e91cb54a921625d460fb12619c852bb40a21b4e55077827fd19a9bca6607cd5cd273d651"
        "2a10a6640848105b9e99296cbad5de0f331737b94b51be805afaadc6bfebc48992d21af6b195a5e8efac2d3e"
        "b878a0b7dadd12abc85c8f6a12f823612828842169e452018508a5278271ace4f4f360fb2227edf7c70e3e92"
        "00000000000000000000000000000000",
    .response =
        "02000000e2fdf8994433221138a31c165e623b50c615200d62418b3ff7ef007b2a7fda2a03f9e5f493049905"
        "76fbe80895f5768792ac7086f41bce8c52f47b6ae940eedb331fd87509541187000000000000000000000000"
        "00000000",
    .first_data =
        "040000004433221100000000000000002739b2fb48ab8036e890ebd26b400580db9c1ab618d6c5705c7954a4"
        "cb396478d663b347d6b7d3804891adbaf8cb284b268e752d5da5b1a9f1dddbeb8ca6c2c273f768e2ca925536"
        "f60e2c973f9c91d5",
    .cookie_reply =
        "03000000443322113a98506cbca3d48152f1d6a90daca66b678e3fc21da4e71a0d62f33be9d7fcb278ecd36b"
        "89db83b675670d88229af111655aa8c19e7f45ea",
};

inline constexpr ComputedHandshake kAesHandshake{
    .initiator_private = "483ac9dccb949b68b5403dc4e275aa970eb9d806dcbef2ffe4e48871d4ceecee",
    .responder_private = "3b89c555c37e6ed93a5a7a6226b02a3a276fa974d6a963b0ccd654b04365d89a",
    .psk = "a39896c38493c8c642fa09e267c37e63a751248c537c0f8e2c9fcf13f7ac7c6d",
    .initiator_ephemeral_private =
        "620be318ccfe9b1685ba2954a24c1b57f2cec0e57e5e2e0ae7c831e91d14309f",
    .responder_ephemeral_private =
        "4f59b20a2e70ef843c89814a5b15c851882fccafd2ffbde0f825b60d0f90f5ae",
    .initiator_index = 0x11223344,
    .responder_index = 0x55667788,
    .timestamp = "400000006553f10a1d000000",
    .initiation =
        "0101000044332211e91cb54a921625d460fb12619c852bb40a21b4e55077827fd19a9bca6607cd5c882e3239"
        "53fe8965d0a44571bb26f671cedb9c309eb3212b14179aa489d0f89b1edbe5c94e8e2f2ae144e7f7dfc2c4e5"
        "5f38f729c508d133c0f6c92a670b001bce0b3ea7fcef6fcd6f7470c4144f4794cc1a2b85c4a3f37951fcdc20"
        "00000000000000000000000000000000",
    .response =
        "02010000887766554433221183b5a6ba9c40fbdba070e69b84ff3d88191fba6b8c604849de918e5a5743ef3c"
        "f1082bcb5b15905e5be628dd0418ec07234664c40d3314fd4a5123ce24d99ffd000000000000000000000000"
        "00000000",
    .initiator_sends_with = "9b5a25969bb47cac84ab9e5916f35abb1b342e8f9a35b7eb95eaf2efa1a10294",
    .responder_sends_with = "2f0a6fef87d01fc6c3278a33161502db1d69e5256c40bdf57ec774f8e02e67d2",
    .handshake_hash = "ad4615a4e4500dde07d25d60fe5e7cc117d5ae500e819ed021cbb8895de6238f",
};

}  // namespace ringway::test_vectors
