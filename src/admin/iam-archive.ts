/** The members of an archive of accounts, as other servers of this API write and read them. */

export const archiveMembers = {
  policies: 'iam-assets/policies.json',
  users: 'iam-assets/users.json',
  groups: 'iam-assets/groups.json',
  accessKeys: 'iam-assets/svcaccts.json',
  userMappings: 'iam-assets/user_mappings.json',
  groupMappings: 'iam-assets/group_mappings.json',
  sessionMappings: 'iam-assets/stsuser_mappings.json',
} as const;
