@testable import ObjectStorage

/// What an S3 server answers.
let storeTargets: [FuzzTarget] = [
    FuzzTarget(
        name: "xml",
        seeds: {
            [
                "<?xml version=\"1.0\"?><Error><Code>SlowDown</Code><Message>a &amp; b &#x41;</Message></Error>",
                "<a><!-- c --><b x='1'/><![CDATA[d]]></a>", "<!DOCTYPE a>", "<s:a xmlns:s=\"u\"></s:a>", "<a/>",
            ].map { Array($0.utf8) }
        }
    ) { input in
        _ = XMLScanner.parse(input)
        _ = S3Fault(HTTPResponse(status: 400, headers: [:], body: input))
    },
    FuzzTarget(
        name: "listing",
        seeds: {
            [
                """
                <ListBucketResult><EncodingType>url</EncodingType><IsTruncated>true</IsTruncated>\
                <NextContinuationToken>t</NextContinuationToken><Contents><Key>p/trees/a%20b</Key><Size>5</Size>\
                <ETag>"e"</ETag><LastModified>2026-01-31T10:00:00.000Z</LastModified></Contents></ListBucketResult>
                """
            ].map { Array($0.utf8) }
        }
    ) { input in
        let reply = HTTPResponse(status: 200, headers: [:], body: input)
        guard let listing = try? S3Answer.listing(reply, base: "p/", prefix: "trees/") else { return }
        require(listing.objects.allSatisfy { $0.key.hasPrefix("trees/") }, "a listing has keys of its prefix")
    },
    FuzzTarget(
        name: "http-fields",
        seeds: {
            ["bytes 0-9/443", "Wed, 12 Oct 2009 17:50:00 GMT", "2026-01-31T10:00:00.000Z", "a%2Fb%zz"]
                .map { Array($0.utf8) }
        }
    ) { input in
        let text = String(decoding: input, as: UTF8.self)
        if let (range, total) = S3Answer.contentRange(text) { require(range.upperBound <= total, "a range is whole") }
        _ = (UTCTime(http: text), UTCTime(iso: text)?.basic, PercentEncoding.decode(text), ETag(quoted: text))
    },
]
