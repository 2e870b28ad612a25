"""The one holder of Kafka's admin credential: topics, users, rights and quotas as topics.toml and the directory say."""
