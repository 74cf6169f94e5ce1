extension Duration {
    package static func hours(_ hours: Int64) -> Duration { .seconds(hours * 3600) }

    package static func days(_ days: Int64) -> Duration { .seconds(days * 86_400) }

    /// Without what is less than a second: times in the bucket are whole seconds.
    package var wholeSeconds: Int64 { components.seconds }
}
