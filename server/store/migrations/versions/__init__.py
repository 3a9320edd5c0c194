"""The revisions. One that has been released is never changed; docs/migrations.md says how to add one."""
