{
  'variables': {
    # The AVX-512 headers of GCC 12 set off its own warnings about unset values (GCC bug 105593).
    'quiet_avx512': ['-Wno-uninitialized', '-Wno-maybe-uninitialized', '-Wno-unknown-warning-option'],
  },
  'target_defaults': {
    'defines': ['NAPI_VERSION=9', 'NAPI_CPP_EXCEPTIONS', 'OPENSSL_SUPPRESS_DEPRECATED'],
    'include_dirs': ['<!(node -p "require(\'node-addon-api\').include_dir")'],
    'cflags': ['-O3', '-Wall', '-Wextra', '-Werror', '-fvisibility=hidden'],
    'cflags_cc': ['-std=c++17'],
    'cflags_cc!': ['-fno-exceptions', '-std=gnu++17', '-std=gnu++20'],
  },
  'targets': [
    {
      'target_name': 'granary',
      'sources': [
        'native/binding/addon.cc',
        'native/binding/call.cc',
        'native/binding/kernels.cc',
        'native/binding/kernels-arena.cc',
        'native/binding/kernels-digest.cc',
        'native/binding/kernels-pass.cc',
        'native/binding/signature.cc',
        '<!@(node scripts/native-sources.cjs kernel)',
        '<!@(node scripts/native-sources.cjs io)',
      ],
      'conditions': [
        [
          'target_arch=="x64"',
          {
            'dependencies': [
              'kernel_ssse3',
              'kernel_avx2',
              'kernel_avx2_gfni',
              'kernel_avx512',
              'kernel_avx512_gfni',
              'kernel_vpclmul',
            ],
          },
        ],
        # native/io is a room of its own; the addon builds with whatever of it exists.
        ['"<!(node scripts/native-sources.cjs has-io)"=="true"', {'defines': ['GRANARY_HAVE_IO']}],
      ],
    },
  ],
  'conditions': [
    # One target for each instruction set, so that wide code stays where dispatch.cc can leave it out.
    [
      'target_arch=="x64"',
      {
        'targets': [
        {
          'target_name': 'kernel_ssse3',
          'type': 'static_library',
          'cflags': ['-mssse3', '-msse4.1', '-mpclmul'],
          'sources': ['native/kernel/rs-ssse3.cc', 'native/kernel/hash-sse41.cc', 'native/kernel/crc-pclmul.cc'],
        },
        {
          'target_name': 'kernel_avx2',
          'type': 'static_library',
          'cflags': ['-mavx2'],
          'sources': ['native/kernel/rs-avx2.cc', 'native/kernel/hash-avx2.cc'],
        },
        {
          'target_name': 'kernel_avx2_gfni',
          'type': 'static_library',
          'cflags': ['-mavx2', '-mgfni'],
          'sources': ['native/kernel/rs-avx2-gfni.cc'],
        },
        {
          'target_name': 'kernel_avx512',
          'type': 'static_library',
          'cflags': ['<@(quiet_avx512)', '-mavx512f', '-mavx512bw', '-mavx512vl', '-mavx512dq'],
          'sources': ['native/kernel/rs-avx512.cc', 'native/kernel/hash-avx512.cc'],
        },
        {
          'target_name': 'kernel_avx512_gfni',
          'type': 'static_library',
          'cflags': ['<@(quiet_avx512)', '-mavx512f', '-mavx512bw', '-mavx512vl', '-mavx512dq', '-mgfni'],
          'sources': ['native/kernel/rs-avx512-gfni.cc'],
        },
        {
          'target_name': 'kernel_vpclmul',
          'type': 'static_library',
          'cflags': ['<@(quiet_avx512)', '-mavx512f', '-mavx512bw', '-mavx512vl', '-mavx512dq', '-mpclmul', '-mvpclmulqdq'],
          'sources': ['native/kernel/crc-vpclmul.cc'],
        },
        ],
      },
    ],
  ],
}
