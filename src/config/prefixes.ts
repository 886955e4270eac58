/** What names of the environment begin with: MinIO's, which work unchanged, and our own, which win. */
export const minioPrefix = 'MINIO_';
export const granaryPrefix = 'GRANARY_';
