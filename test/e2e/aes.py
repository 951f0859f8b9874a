# SPDX-License-Identifier: BSD-2-Clause
"""AES-128-CBC by libcrypto, which the server is linked with too."""
import ctypes
import ctypes.util

lib = ctypes.CDLL(ctypes.util.find_library("crypto") or "libcrypto.so.3")
lib.EVP_CIPHER_CTX_new.restype = lib.EVP_aes_128_cbc.restype = ctypes.c_void_p


def decrypt(key, iv, data, padding=False):
    """Whole blocks; padding: that of PKCS7 is checked and taken off."""
    assert len(key) == len(iv) == 16 and len(data) % 16 == 0
    c, out, n, rest = ctypes.c_void_p(lib.EVP_CIPHER_CTX_new()), ctypes.create_string_buffer(len(data) + 32), \
        ctypes.c_int(), ctypes.c_int()
    try:
        assert lib.EVP_DecryptInit_ex(c, ctypes.c_void_p(lib.EVP_aes_128_cbc()), None, key, iv) == 1
        lib.EVP_CIPHER_CTX_set_padding(c, int(padding))
        assert lib.EVP_DecryptUpdate(c, out, ctypes.byref(n), data, len(data)) == 1
        if lib.EVP_DecryptFinal_ex(c, ctypes.byref(out, n.value), ctypes.byref(rest)) != 1:
            raise ValueError("the padding is wrong")
    finally:
        lib.EVP_CIPHER_CTX_free(c)
    return out.raw[:n.value + rest.value]
