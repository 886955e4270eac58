{
  'target_defaults': {
    'defines': ['NAPI_VERSION=9', 'NAPI_CPP_EXCEPTIONS', 'OPENSSL_SUPPRESS_DEPRECATED',
                # A worker that ends inside a call must not take the process with it (node-addon-api).
                'NODE_API_SWALLOW_UNTHROWABLE_EXCEPTIONS'],
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
        'native/binding/arena-memory.cc',
        'native/binding/argon2.cc',
        'native/binding/call.cc',
        'native/binding/index.cc',
        'native/index/cursor.cc',
        'native/index/disk-reader.cc',
        'native/index/empty-stretches.cc',
        'native/index/file.cc',
        'native/index/live-range.cc',
        'native/index/memory-table.cc',
        'native/index/run.cc',
        'native/index/store.cc',
        'native/binding/kernels.cc',
        'native/binding/kernels-arena.cc',
        'native/binding/kernels-digest.cc',
        'native/binding/kernels-pass.cc',
        'native/binding/process.cc',
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
              'kernel_sha',
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
            'cflags': ['<!@(node scripts/native-sources.cjs flags ssse3)'],
            'sources': ['<!@(node scripts/native-sources.cjs set ssse3)'],
          },
          {
            'target_name': 'kernel_sha',
            'type': 'static_library',
            'cflags': ['<!@(node scripts/native-sources.cjs flags sha)'],
            'sources': ['<!@(node scripts/native-sources.cjs set sha)'],
          },
          {
            'target_name': 'kernel_avx2',
            'type': 'static_library',
            'cflags': ['<!@(node scripts/native-sources.cjs flags avx2)'],
            'sources': ['<!@(node scripts/native-sources.cjs set avx2)'],
          },
          {
            'target_name': 'kernel_avx2_gfni',
            'type': 'static_library',
            'cflags': ['<!@(node scripts/native-sources.cjs flags avx2-gfni)'],
            'sources': ['<!@(node scripts/native-sources.cjs set avx2-gfni)'],
          },
          {
            'target_name': 'kernel_avx512',
            'type': 'static_library',
            'cflags': ['<!@(node scripts/native-sources.cjs flags avx512)'],
            'sources': ['<!@(node scripts/native-sources.cjs set avx512)'],
          },
          {
            'target_name': 'kernel_avx512_gfni',
            'type': 'static_library',
            'cflags': ['<!@(node scripts/native-sources.cjs flags avx512-gfni)'],
            'sources': ['<!@(node scripts/native-sources.cjs set avx512-gfni)'],
          },
          {
            'target_name': 'kernel_vpclmul',
            'type': 'static_library',
            'cflags': ['<!@(node scripts/native-sources.cjs flags vpclmul)'],
            'sources': ['<!@(node scripts/native-sources.cjs set vpclmul)'],
          },
        ],
      },
    ],
  ],
}
