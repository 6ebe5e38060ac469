"""Sources at an address, such as a bucket: list them, look into files and fetch them, by the drivers of fsspec."""
