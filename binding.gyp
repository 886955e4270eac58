{
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
        # native/io is a room of its own; the addon builds with whatever of it exists.
        ['"<!(node scripts/native-sources.cjs has-io)"=="true"', {'defines': ['GRANARY_HAVE_IO']}],
      ],
    },
  ],
}
